import type { CloudClient } from "../../cloud/create-client.ts";
import { getNodes } from "../../cloud/get-nodes.ts";
import { type DeviceId, parseDeviceId } from "../../core/ids.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { requireCloud } from "../connect/connect-cloud.ts";
import { lintInputs } from "../lint/lint-inputs.ts";

/**
 * Devices of a command line: ids, or names of the cloud's nodes. What looks like hex is an id, so a short one is
 * refused rather than looked up.
 *
 * @throws InvalidArgumentError, LintRefusedError, InvalidHexError, CloudError
 */
export async function parseDevices(
  raw: readonly string[],
  cloud: CloudClient | undefined,
): Promise<readonly DeviceId[]> {
  if (raw.length === 0) {
    throw new InvalidArgumentError("No device was given.", { nextStep: "Give device ids, or names of nodes." });
  }
  lintInputs("The device id", raw);
  const isId = (text: string) => /^(?:0x|[0-9a-f]{16})/i.test(text);
  const nodes = raw.every(isId) ? [] : await getNodes(requireCloud(cloud, "for the device of a node"));
  return raw.map((text) => {
    if (isId(text)) return parseDeviceId(text);
    const found = nodes.filter(({ name }) => name === text);
    const [node] = found;
    if (found.length === 1 && node?.deviceId !== undefined) return node.deviceId;
    throw new InvalidArgumentError(
      node === undefined
        ? `The cloud shows no node named ${text}.`
        : `The name ${text} does not lead to one device: the cloud ${found.length > 1 ? "has several" : "does not tell its id"}.`,
      {
        nextStep: `Give the device id, or one of: ${nodes.map(({ name }) => name).join(", ") || "(no node is shown)"}.`,
        context: { node: text, nodes: nodes.map(({ name }) => name) },
      },
    );
  });
}
