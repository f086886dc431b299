import type { BootInfo } from "../chain/read-boot.ts";
import { type Hex, parseAppId, parseComposeHash, parseDeviceId } from "../core/ids.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { describeSubject, findContractReader } from "./contract-reader.ts";

export interface BootVerdict {
  readonly isAllowed: boolean;
  readonly reason: string;
}

/**
 * Returns the boot verdict for the subject of `expect()`. A contract is asked with `bootInfo`. An answer of
 * `isAppAllowed`, or a promise of one, is used as it is, as a pair or as an object.
 *
 * @throws InvalidArgumentError, and the errors of the contract call
 */
export async function toBootVerdict(subject: unknown, bootInfo: unknown, matcher: string): Promise<BootVerdict> {
  const authority = findContractReader(subject);
  if (authority !== undefined && bootInfo === undefined) {
    throw new InvalidArgumentError(`${matcher} needs the boot information.`, {
      nextStep: "Pass the boot information, such as bootInfo() of deployDstack, as the last argument.",
      context: { matcher },
    });
  }
  const answer = authority === undefined ? await subject : await authority.read("isAppAllowed", bootInfo);
  const verdict = parseVerdict(answer);
  if (verdict !== undefined) return verdict;
  throw new InvalidArgumentError(
    `${matcher} needs a contract or a verdict in expect(), got ${describeSubject(answer)}.`,
    {
      nextStep: "Pass a KMS or an app, or the result of isAppAllowed or readBootVerdict.",
      context: { matcher },
    },
  );
}

function parseVerdict(answer: unknown): BootVerdict | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const named = answer as Readonly<Record<string, unknown>>; // an object, and every field is checked below
  const [isAllowed, reason] = Array.isArray(answer) ? answer : [named.isAllowed, named.reason];
  return typeof isAllowed === "boolean" && typeof reason === "string" ? { isAllowed, reason } : undefined;
}

// The same values as in contracts/testing/DstackDefaults.sol.
export const testComposeHash = parseComposeHash("c0".repeat(32));
export const testDeviceId = parseDeviceId("de".repeat(32));
export const testOsImageHash: Hex = `0x${"05".repeat(32)}`;

/** Boot information before its ids are parsed. */
export interface BootInfoChanges extends Partial<Omit<BootInfo, "appId" | "composeHash" | "deviceId">> {
  readonly appId?: Hex | undefined;
  readonly composeHash?: Hex | undefined;
  readonly deviceId?: Hex | undefined;
}

/**
 * The boot information of an up-to-date machine that runs the default compose hash on the default device. `changes`
 * replaces single fields.
 *
 * @throws InvalidHexError
 *
 * @example
 * import { bootInfoOf } from "dstack-toolkit/testing";
 * import { appId } from "./app.js";
 * const bootInfo = bootInfoOf(appId, { tcbStatus: "OutOfDate" });
 */
export function bootInfoOf(appId: Hex, changes: BootInfoChanges = {}): BootInfo {
  const { appId: app = appId, composeHash = testComposeHash, deviceId = testDeviceId, ...rest } = changes;
  return {
    instanceId: `0x${"11".repeat(20)}`,
    mrAggregated: `0x${"a6".repeat(32)}`,
    mrSystem: `0x${"57".repeat(32)}`,
    osImageHash: testOsImageHash,
    tcbStatus: "UpToDate",
    advisoryIds: [],
    ...rest,
    appId: parseAppId(app),
    composeHash: parseComposeHash(composeHash),
    deviceId: parseDeviceId(deviceId),
  };
}
