import { isAddressEqual, keccak256 } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { readAllowlist } from "../chain/read-app.ts";
import { readKmsImplementation } from "../chain/read-kms.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { type ComposeHash, parseComposeHash, type parseDeviceId } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import type { AllowlistUse, KeepRules } from "../prune/allowlist-use.ts";
import { namedBy } from "../prune/apply-prune-plan.ts";
import { datedBy, findObjections, openUnknowns } from "../prune/plan-prune.ts";
import { type PruneSource, readAllowlistUseFrom, requireDates } from "../prune/read-allowlist-use.ts";
import { findDeviceObjections, findHashObjections } from "../prune/removal-objections.ts";
import { type ChangePlan, type ChangeReason, prunePlanOf } from "./change-plan.ts";

/** Where the reasons of a plan are read again. */
export interface ReasonSource {
  /** Undefined without an API key. */
  readonly cloud: CloudClient | undefined;
  /** Compose hashes that the configuration pins. */
  readonly pins?: readonly ComposeHash[] | undefined;
  /** Needed for the plan of a prune: where its facts are read. */
  readonly prune?: PruneSource | undefined;
  /** Hashes to judge even if no event names them. */
  readonly named?: readonly ComposeHash[] | undefined;
  /** The rules of a prune with further hashes to keep. It may not keep fewer than the plan's own. */
  readonly keep?: ((use: AllowlistUse, planned: KeepRules) => KeepRules) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ReasonRuleParameters extends ReasonSource {
  readonly client: ChainClient;
  readonly plan: ChangePlan;
  /** The calls of the plan that have this reason. */
  readonly calls: readonly OwnerCall[];
}

/** Compares one kind of reason with chain and cloud. Returns sentences: what no longer holds. */
export type ReasonRule = (parameters: ReasonRuleParameters) => Promise<readonly string[]>;

/** One rule for each kind of reason. A plan with a reason whose rule returns something is not executed. */
export const reasonRules: Readonly<Record<ChangeReason["rule"], ReasonRule>> = {
  requested: checkRequested,
  // `checkUpdate` judges an update as a whole, also one that needs no call.
  update: async () => [],
  unneeded: checkUnneeded,
  // A CVM that runs the hash does not keep it: that is why it is revoked.
  revoked: async () => [],
  upgrade: checkUpgrade,
};

/** What the operator named is wanted, unless a CVM would be barred that the operator did not know of. */
async function checkRequested({ client, plan, calls, cloud, pins = [] }: ReasonRuleParameters) {
  const { appId, chainId, accepted } = plan;
  if (appId === undefined) return [];
  const valuesOf = (name: string) =>
    calls.filter(({ functionName }) => functionName === name).map(({ args: [value] }) => value);
  const [added, removed] = ["addDevice", "removeDevice"].map((name) => valuesOf(name).map(String)) as [
    string[],
    string[],
  ];
  const [allowAnyAfter] = valuesOf("setAllowAnyDevice");
  const isBarred = async (deviceId: ReturnType<typeof parseDeviceId>) => {
    const { deviceListed, allowAnyDevice } = await readAllowlist(client, { appId, deviceId });
    const isListedAfter = (deviceListed || added.includes(deviceId)) && !removed.includes(deviceId);
    return (allowAnyDevice || deviceListed === true) && !((allowAnyAfter ?? allowAnyDevice) || isListedAfter);
  };
  const hashes = valuesOf("removeComposeHash").map((hash) => parseComposeHash(String(hash)));
  const objections = [
    ...(await findHashObjections({ appId, chainId, cloud, pins }, hashes)),
    ...(removed.length > 0 || allowAnyAfter === false ? await findDeviceObjections({ appId, cloud }, isBarred) : []),
  ];
  return objections.filter(({ acceptAs }) => !accepted.includes(acceptAs)).map(({ problem }) => problem);
}

/** A prune judges every hash again, by the rules of the plan. */
async function checkUnneeded({ client, plan, calls, keep, signal, named = [], ...source }: ReasonRuleParameters) {
  const planned = prunePlanOf(plan);
  if (planned === undefined) return [];
  if (source.prune === undefined) return ["What needs the hashes was not read again: give `prune`."];
  const { appId } = planned;
  const removals = calls.map(({ args: [composeHash] }) => parseComposeHash(String(composeHash)));
  const use = await readAllowlistUseFrom(source.prune, [...named, ...namedBy(planned)]);
  const prune = { ...planned, policy: keep?.(use, planned.policy) ?? planned.policy };
  const objections = findObjections(prune, use, removals);
  // The owner is compared for every plan.
  const problems = objections.filter(({ composeHash }) => composeHash !== undefined);
  if (problems.length === 0) await requireDates(client, { appId, hashes: datedBy(prune, use, removals), signal });
  return [
    ...openUnknowns(prune, use.unknowns).map(({ problem, kind }) => `A fact is not known (${kind}): ${problem}`),
    ...problems.map(({ composeHash, problem }) => `${composeHash}: ${problem}.`),
  ];
}

/** The app gets the code that was examined, in place of the code that it was examined against. */
async function checkUpgrade({ client, plan: { upgrade, appId } }: ReasonRuleParameters) {
  if (upgrade === undefined || appId === undefined) return ["The plan does not say which implementation it installs."];
  const { implementation, codeHash, previousImplementation, previousCodeHash } = upgrade;
  const present = await readKmsImplementation(client, { kms: appId });
  const isSame = present !== undefined && isAddressEqual(present, previousImplementation);
  const [code, previous] = await Promise.all(
    [implementation, previousImplementation].map((address) => readCode(client, { address })),
  );
  return [
    ...(isSame ? [] : [`The app runs ${present ?? "no known implementation"}, and not ${previousImplementation}.`]),
    ...(keccak256(code ?? "0x") === codeHash ? [] : [`The code at ${implementation} is not the code of the plan.`]),
    ...(keccak256(previous ?? "0x") === previousCodeHash
      ? []
      : [`The code at ${previousImplementation} is not the code of the plan.`]),
  ];
}
