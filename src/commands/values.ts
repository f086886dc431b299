import type { CloudClient } from "../cloud/create-client.ts";
import { getNodes } from "../cloud/get-nodes.ts";
import { type ComposeHash, type DeviceId, parseComposeHash, parseDeviceId } from "../core/ids.ts";
import { InvalidArgumentError, UnexpectedDeviceError } from "../errors/index.ts";
import type { Output } from "../output/output.ts";
import { requireCloud } from "./connect-app.ts";
import { lintInputs } from "./lint.ts";

export interface GivenDevice {
  readonly deviceId: DeviceId;
  /** The node's name, if the user gave a name. Only the cloud then vouches for the id. Undefined for an id. */
  readonly node: string | undefined;
}

/** A device whose id only the cloud vouches for, for `--json`. */
export interface NamedDevice {
  readonly node: string;
  readonly deviceId: DeviceId;
  readonly namedBy: "cloud";
}

/**
 * Parses the devices of a command line: ids, or names of the cloud's nodes. A value that looks like hex is an id, so an
 * id that is too short is refused and not looked up as a name.
 *
 * @throws InvalidArgumentError, LintRefusedError, InvalidHexError, CloudError
 */
export async function parseDevices(
  raw: readonly string[],
  cloud: CloudClient | undefined,
): Promise<readonly GivenDevice[]> {
  if (raw.length === 0) {
    throw new InvalidArgumentError("No device was given.", { nextStep: "Give device ids, or names of nodes." });
  }
  lintInputs("The device id", raw);
  const isId = (text: string) => /^(?:0x|[0-9a-f]{16})/i.test(text);
  const nodes = raw.every(isId) ? [] : await getNodes(requireCloud(cloud, "for the device of a node"));
  return raw.map((text) => {
    if (isId(text)) return { deviceId: parseDeviceId(text), node: undefined };
    const found = nodes.filter(({ name }) => name === text);
    const [node] = found;
    if (found.length === 1 && node?.deviceId !== undefined) return { deviceId: node.deviceId, node: text };
    throw new InvalidArgumentError(
      node === undefined
        ? `The cloud shows no node named ${text}.`
        : `The name ${text} does not identify a device: the cloud ${found.length > 1 ? "has several nodes of this name" : "does not report the node's device id"}.`,
      {
        nextStep: `Give the device id, or one of: ${nodes.map(({ name }) => name).join(", ") || "(the cloud shows no node)"}.`,
        context: { node: text, nodes: nodes.map(({ name }) => name) },
      },
    );
  });
}

/** Shows, before the question, the ids that the cloud named. */
export function showNamedDevices(output: Output, devices: readonly GivenDevice[]): readonly NamedDevice[] {
  const named = devices.flatMap(({ node, deviceId }) =>
    node === undefined ? [] : [{ node, deviceId, namedBy: "cloud" } as const],
  );
  for (const { node, deviceId } of named) output.line(`${node} is device ${deviceId}, according to the cloud.`);
  return named;
}

/**
 * Returns if the configuration lists every device that only the cloud has named, or lists none for the app. An id on
 * the command line needs no check, because the user gave it.
 *
 * @throws UnexpectedDeviceError
 */
export function requireConfigured(devices: readonly GivenDevice[], configured: readonly DeviceId[] | undefined): void {
  for (const { node, deviceId } of devices) {
    if (node === undefined || configured === undefined || configured.includes(deviceId)) continue;
    throw new UnexpectedDeviceError(node, deviceId, configured);
  }
}

/**
 * Parses the compose hashes of a command line; at least one is required. @throws InvalidArgumentError,
 * LintRefusedError, InvalidHexError
 */
export function parseHashes(raw: readonly string[]): readonly ComposeHash[] {
  if (raw.length === 0) {
    throw new InvalidArgumentError("No compose hash was given.", {
      nextStep: "Give one or more; npx hardhat dstack hash FILE computes them.",
    });
  }
  lintInputs("The compose hash", raw);
  return raw.map((text) => parseComposeHash(text.trim()));
}
