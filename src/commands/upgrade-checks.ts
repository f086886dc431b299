import { type Address, type Hex, keccak256, stringToHex, zeroAddress, zeroHash } from "viem";
import { readCode } from "../chain/code.ts";
import type { AppStatus } from "../chain/read-app.ts";
import { readAppLayout } from "../chain/read-app-layout.ts";
import type { NamedCall } from "../chain/simulate-upgrade.ts";
import { safeGetAppCvms } from "../cloud/get-app-cvms.ts";
import { safeGetCvmOsImage } from "../cloud/get-cvm-os-image.ts";
import { appLayouts } from "../core/app-layouts.ts";
import {
  type AppAnswer,
  type AppQuestion,
  appQuestions,
  changedAnswers,
  type QuestionedBoot,
} from "../core/app-questions.ts";
import type { AppId } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import type { UpgradeObjection } from "../core/upgrade-rules.ts";
import { UpgradeMismatchError, UpgradeRefusedError } from "../errors/index.ts";
import { dstackAppBytecode } from "../generated/bytecode.ts";
import { recordedValues } from "../history/policy.ts";
import type { Output } from "../output/output.ts";
import type { AppLists } from "./app-history.ts";
import type { ConnectedApp } from "./connect-app.ts";
import type { ProjectContract } from "./host.ts";
import { initializerCalls } from "./initializer.ts";
import { isCodeOf, type LiveContract, validateContract } from "./validate-contract.ts";

/** A hash and a device that no app allows. An implementation that allows everything allows them too. */
export const unknownValue = keccak256(stringToHex("dstack-toolkit: a value that no app allows"));

/**
 * The questions whose answers an upgrade must keep: about the owner, the flags, every value that is known to be, or to
 * have been, allowed, and the boots of the app's CVMs.
 */
export async function gatherQuestions(
  app: Pick<ConnectedApp, "appId" | "cloud">,
  { lists, kms }: { readonly lists: AppLists; readonly kms: Address | undefined },
): Promise<readonly AppQuestion[]> {
  const { appId } = app;
  const { changes } = lists.history;
  const recorded = recordedValues(changes);
  const ofEvents = (field: "composeHash" | "deviceId") =>
    changes.flatMap((change): readonly Hex[] => (field in change ? [Reflect.get(change, field)] : []));
  const unique = (values: readonly Hex[]) => [...new Set([...values, unknownValue])];
  const boots = await readBoots(app);
  const [allowedHashes, allowedDevices] = [[...lists.composeHashes.keys()], [...lists.devices.keys()]];
  const device = allowedDevices[0] ?? unknownValue;
  const synthetic = [...allowedHashes, unknownValue].map((composeHash) =>
    bootOf({ appId, composeHash, deviceId: device }),
  );
  const onOther = allowedHashes
    .slice(0, 1)
    .flatMap((composeHash) => [
      bootOf({ appId, composeHash, deviceId: unknownValue }),
      { ...bootOf({ appId, composeHash, deviceId: device }), tcbStatus: "OutOfDate" },
    ]);
  return appQuestions({
    appId,
    kms,
    composeHashes: unique([
      ...allowedHashes,
      ...ofEvents("composeHash"),
      ...recorded.composeHashes,
      ...boots.map((boot) => boot.composeHash),
    ]),
    devices: unique([
      ...allowedDevices,
      ...ofEvents("deviceId"),
      ...recorded.devices,
      ...boots.map((boot) => boot.deviceId),
    ]),
    boots: [...boots, ...synthetic, ...onOther],
  });
}

export function bootOf(
  known: Pick<QuestionedBoot, "appId" | "composeHash" | "deviceId"> & { osImageHash?: Hex },
): QuestionedBoot {
  return {
    ...{ osImageHash: zeroHash, tcbStatus: "UpToDate", instanceId: zeroAddress },
    ...{ mrAggregated: zeroHash, mrSystem: zeroHash, advisoryIds: [] },
    ...known,
  };
}

/** What the app's CVMs report at their next boot. None without a cloud that answers. */
async function readBoots({ appId, cloud }: Pick<ConnectedApp, "appId" | "cloud">): Promise<readonly QuestionedBoot[]> {
  const reply = cloud === undefined ? undefined : await safeGetAppCvms(cloud, { appId });
  if (cloud === undefined || reply?.success !== true) return [];
  const boots = await mapLimited(
    reply.data,
    async ({ id, composeHash, deviceId }) => {
      if (composeHash === undefined || deviceId === undefined) return [];
      const image = await safeGetCvmOsImage(cloud, { cvm: id });
      return [bootOf({ appId, composeHash, deviceId, osImageHash: (image.success && image.data) || zeroHash })];
    },
    { limit: 8 },
  );
  return boots.flat();
}

export interface CheckLayoutParameters {
  readonly status: Pick<AppStatus, "implementation" | "isTwoStep" | "blockNumber">;
  readonly lists: AppLists;
  readonly implementation: Address;
  /** The source of the new implementation. */
  readonly contract: ProjectContract | undefined;
  /** The source of the present one. Undefined for a public release. */
  readonly from: ProjectContract | undefined;
}

export interface CheckLayoutReturnType {
  readonly objections: readonly UpgradeObjection[];
  /** What was found, as the end of a sentence. */
  readonly verdict: string;
}

/**
 * Compares the storage of the new implementation with that of the app. The app's own storage shows which public layout
 * it has; for a contract of the user's own, its source does.
 *
 * @throws InvalidArgumentError, MissingPackageError, RpcUnavailableError
 */
export async function checkLayout(
  { client, appId }: Pick<ConnectedApp, "client" | "appId">,
  { status, lists, implementation, contract, from }: CheckLayoutParameters,
): Promise<CheckLayoutReturnType> {
  const { blockNumber, isTwoStep } = status;
  const codeAt = (address: Address) => readCode(client, { address, blockNumber });
  const refuse = (rule: UpgradeObjection["rule"], problem: string, acceptAs?: string): CheckLayoutReturnType => ({
    objections: [{ rule, problem, acceptAs }],
    verdict: "not proven",
  });
  const unproven = (problem: string) => refuse("unproven-layout", problem, "unproven-layout");
  const code = await codeAt(implementation);
  if (contract !== undefined && code !== "0x" && !isCodeOf(contract, code))
    return refuse("other-code", `The code at ${implementation} is not that of ${contract.name} in this project.`);
  let live: LiveContract;
  if (from !== undefined) {
    const present = status.implementation === undefined ? "0x" : await codeAt(status.implementation);
    if (!isCodeOf(from, present))
      return refuse("other-code", `The app does not run ${from.name}: the code behind its proxy is another one.`);
    live = { contract: from };
  } else {
    const [composeHashes, devices] = [[...lists.composeHashes.keys()], [...lists.devices.keys()]];
    const read = await readAppLayout(client, { appId, composeHashes, devices, blockNumber });
    if (read.layout === undefined)
      return unproven(
        `The storage of the app is not that of a public release: ${read.problem}. Name the contract that it runs with --from.`,
      );
    live = { layout: read.layout, isTwoStep };
  }
  const words = "contract" in live ? `that of ${live.contract.name}` : `that of releases ${live.layout.releases}`;
  if (contract !== undefined)
    return {
      objections: await validateContract(contract, live),
      verdict: `continues ${words}, says OpenZeppelin's validator`,
    };
  if (!isDstackAppCode(code, implementation))
    return unproven(
      `No source is named for the code at ${implementation}, so it is not proven that its storage continues ${words}. Name the contract with --contract.`,
    );
  if (!("layout" in live))
    return unproven(`The storage of ${live.contract.name} may have more than a DstackApp keeps.`);
  if (live.layout.id === "0.4.2")
    return refuse(
      "layout-collision",
      `The app stores its policy as releases ${live.layout.releases} do, one slot later than a DstackApp: it would lose all of it.`,
    );
  return {
    objections: [],
    verdict: `continues ${words}: the code is that of this package's DstackApp (${appLayouts["0.5.9"].releases})`,
  };
}

/** Whether code is that of this package's DstackApp. The code holds its own address. */
function isDstackAppCode(code: Hex, address: Address): boolean {
  const own = address.slice(2).toLowerCase();
  const neutral = code.slice(2).toLowerCase().replaceAll(own, "0".repeat(40));
  return neutral.length > 0 && dstackAppBytecode.toLowerCase().includes(neutral);
}

/** The functions of a contract that initialise it, with values of zero. */
export function initializersIn(contract: ProjectContract | undefined): readonly NamedCall[] {
  return initializerCalls(contract?.abi ?? []);
}

/** The objection if the endpoint cannot simulate. */
export function unsimulated(problem = "it does not say why"): UpgradeObjection {
  return {
    rule: "unsimulated-upgrade",
    problem: `The endpoint cannot simulate the upgrade: ${problem}. So it is not known what the app would answer, and who could change it.`,
    acceptAs: "unsimulated-upgrade",
  };
}

/** Shows the objections that the operator accepted by name. @throws UpgradeRefusedError if there are others */
export function requireAccepted(
  output: Output,
  objections: readonly UpgradeObjection[],
  accepted: ReadonlySet<string>,
): void {
  const isAccepted = ({ acceptAs }: UpgradeObjection) => acceptAs !== undefined && accepted.has(acceptAs);
  const standing = objections.filter((objection) => !isAccepted(objection));
  if (standing.length > 0) throw new UpgradeRefusedError(standing);
  for (const { problem, acceptAs } of objections) output.line(`  warning ${problem} (${acceptAs}, accepted)`);
}

export interface RequireSameAnswersParameters {
  readonly appId: AppId;
  readonly questions: readonly AppQuestion[];
  readonly before: readonly AppAnswer[];
  readonly after: readonly AppAnswer[];
  /** The implementation before the upgrade. */
  readonly previous: Address | undefined;
}

/** @throws UpgradeMismatchError if the upgraded app answers a question otherwise than before */
export function requireSameAnswers({ appId, questions, before, after, previous }: RequireSameAnswersParameters): void {
  const [first, ...more] = changedAnswers(questions, before, after);
  if (first === undefined) return;
  const problem = `it answers ${first.title} with ${first.after ?? "no value"}, and before with ${first.before ?? "no value"}${more.length > 0 ? ` (and ${more.length} more)` : ""}.`;
  throw new UpgradeMismatchError(problem, { appId, previous });
}
