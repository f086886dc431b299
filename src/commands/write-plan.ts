import { resolve } from "node:path";
import type { Address } from "viem";
import { getBlock } from "viem/actions";
import { buildSafeBatch } from "../batch/build-safe-batch.ts";
import { estimateBatchPrice, estimateSafePrice } from "../batch/estimate-batch-price.ts";
import { requireEffect } from "../batch/require-effect.ts";
import { simulateCalls } from "../batch/simulate-calls.ts";
import { readGeneration } from "../chain/generation.ts";
import type { ReadOwnerReturnType } from "../chain/read-owner.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { readFees } from "../chain/transactions/fees.ts";
import type { AppId, Hex } from "../core/ids.ts";
import { gasCeilingOf, orderCalls } from "../core/order-calls.ts";
import type { OwnedContract, OwnerCall } from "../core/owner-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { readPackageVersion } from "../files/package-version.ts";
import { changesNothing, nextCommands } from "../output/plan.ts";
import { showPrice } from "../output/price.ts";
import { type ChangePlan, type ChangeReason, ownerKindOf, type PlannedOwner } from "../plans/change-plan.ts";
import { createChangePlan } from "../plans/create-change-plan.ts";
import { savePlan } from "../plans/plan-file.ts";
import type { ConnectedChain } from "./host.ts";
import { requireReplaceable } from "./plan-progress.ts";
import type { TaskIo } from "./run.ts";
import type { Signing } from "./signing.ts";

/** What a plan says of a command besides its calls. */
export interface PlanRequest extends Partial<Pick<ChangePlan, "update" | "prune" | "upgrade" | "pinned">> {
  /** The value of `--plan`. */
  readonly file: string;
  readonly task: string;
  readonly appId?: AppId | undefined;
  readonly kms?: Address | undefined;
  /** The names given to `--accept`. */
  readonly accepted: ReadonlySet<string>;
  /** @default the operator requested it */
  readonly reasonOf?: ((call: OwnerCall) => ChangeReason) | undefined;
}

export interface WritePlanParameters extends PlanRequest {
  readonly calls: readonly OwnerCall[];
  /** The account whose call it must be. */
  readonly signer: ReadOwnerReturnType;
  readonly allowNoEffect?: boolean | undefined;
  /** Shows everything and writes no file. @default false */
  readonly dryRun?: boolean | undefined;
  /** Whether the task has sent a transaction before. */
  readonly hasPaid?: boolean | undefined;
}

/** A plan that was written. Nothing was sent. */
export interface WrittenPlan {
  readonly outcome: "planned";
  /** Null after a dry run. */
  readonly planFile: string | null;
  readonly digest: Hex;
  readonly owner: ChangePlan["owner"];
  readonly changes: readonly { readonly description: string; readonly to: Address; readonly reason: ChangeReason }[];
  readonly price: PriceEstimate | null;
}

/**
 * Writes calls to a plan file instead of sending them. Refuses what sending would refuse: calls that change nothing and
 * calls that the contract reverts.
 *
 * @throws InvalidPlanFileError, NoEffectError, NotOwnerError, ContractRevertedError, and what buildSafeBatch throws
 */
export async function writePlan(
  { output }: Pick<TaskIo, "output">,
  chain: ConnectedChain & Pick<Signing, "choices" | "root">,
  { calls: unordered, signer, allowNoEffect, dryRun = false, hasPaid = false, ...request }: WritePlanParameters,
): Promise<WrittenPlan> {
  const { client, chainId } = chain;
  // A preparation has made sure of it before it asked the cloud.
  if (request.update === undefined) await requireReplaceable(chain, { file: request.file, isPreparing: false });
  const calls = orderCalls(unordered);
  const pinned = request.pinned ?? (await readPinned(chain));
  const price = await readPrice(chain, { calls, signer, allowNoEffect });
  const contracts = await Promise.all(
    [...targetsOf(request, calls)].map(async ([address, contract]) => {
      const { id } = await readGeneration(client, { address });
      return { contract, address, generation: id };
    }),
  );
  const {
    file,
    task,
    appId,
    kms,
    accepted,
    reasonOf = () => ({ rule: "requested" }),
    update,
    prune,
    upgrade,
  } = request;
  const plan = createChangePlan({
    ...{ task, createdBy: `dstack-toolkit ${readPackageVersion()}`, createdAt: new Date().toISOString() },
    ...{ chainId, appId, kms, contracts, pinned, accepted: [...accepted], price, update, prune, upgrade },
    owner: requireOwner(signer),
    changes: calls.map((call) => ({ call, reason: reasonOf(call) })),
  });
  const planFile = resolve(file);
  if (!dryRun) await savePlan(planFile, plan);
  if (price !== null) showPrice(output, price);
  if (dryRun) output.line("\nThis was a dry run: no plan was written, and nothing was sent.");
  else output.line(`\nWrote the plan to ${planFile}. ${hasPaid ? "Its calls were not sent" : "Nothing was sent"}.`);
  if (!dryRun) output.line(`  digest  ${plan.digest}`);
  if (calls.length === 0) output.line(changesNothing);
  else if (!dryRun) for (const line of nextCommands(plan.owner.kind, file, chain.network)) output.line(line);
  return {
    ...{ outcome: "planned", planFile: dryRun ? null : planFile, digest: plan.digest, owner: plan.owner, price },
    changes: plan.changes.map(({ call: { description, to }, reason }) => ({ description, to, reason })),
  };
}

function targetsOf({ appId, kms }: PlanRequest, calls: readonly OwnerCall[]): ReadonlyMap<Address, OwnedContract> {
  const targets = new Map(calls.map(({ contract, to }) => [to, contract]));
  if (appId !== undefined) targets.set(appId, "app");
  if (kms !== undefined) targets.set(`0x${kms.slice(2).toLowerCase()}`, "kms");
  return targets;
}

async function readPinned({ client }: ConnectedChain): Promise<ChangePlan["pinned"]> {
  const { number, hash, timestamp } = await withRpcErrors(client, "reading the latest block", () => getBlock(client));
  return { number, hash, timestamp };
}

/** Checks the calls on the node, and reads their price: of a key's transactions, or of one execution by the Safe. */
async function readPrice(
  { client, chainId, choices }: Pick<ConnectedChain & Signing, "client" | "chainId" | "choices">,
  {
    calls,
    signer: { address, kind },
    allowNoEffect = false,
  }: Pick<WritePlanParameters, "calls" | "signer" | "allowNoEffect">,
): Promise<PriceEstimate | null> {
  if (calls.length === 0) return null;
  if (!allowNoEffect) await requireEffect(client, calls);
  if (kind === "safe") {
    const batch = await buildSafeBatch(client, { calls, safe: address, chainId, allowNoEffect: true });
    return estimateSafePrice(client, batch);
  }
  await simulateCalls(client, { from: address, calls });
  if (kind !== "eoa") return null;
  const gas = calls.reduce((sum, call) => sum + gasCeilingOf(call), 0n);
  const fees = await readFees(client, choices);
  return estimateBatchPrice(client, { account: address, calls, delegation: undefined, gas, fees });
}

/** @throws InvalidArgumentError if the ownership was renounced */
function requireOwner({ kind, address }: ReadOwnerReturnType): PlannedOwner {
  const ownerKind = ownerKindOf(kind);
  if (ownerKind !== undefined) return { address, kind: ownerKind };
  throw new InvalidArgumentError("The ownership was renounced, so no account can make these calls.", {
    nextStep: "Nothing was sent. No account can change this contract any more.",
    context: { address },
  });
}
