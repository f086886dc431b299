import { createHash } from "node:crypto";
import { z } from "zod";
import type { Hex } from "../core/ids.ts";
import { type JsonObject, writeCanonicalJson } from "../core/json.ts";
import { orderCalls } from "../core/order-calls.ts";
import { decodeOwnerCall, type OwnedContract, type OwnerCall } from "../core/owner-calls.ts";
import { cleanText } from "../core/text.ts";
import { isDstackError } from "../errors/index.ts";
import { removalsOf } from "../prune/plan-prune.ts";
import type { ChangePlan, PlannedChange } from "./change-plan.ts";
import { planKind, planSchema } from "./plan-schema.ts";

/** The plan, or the end of a sentence that begins with the file or the plan. */
export type PlanReading = { readonly plan: ChangePlan } | { readonly problem: string };

/** All fields of a plan but the digest, as JSON values. Bigints are decimal strings. */
export function toPlanBody(plan: Omit<ChangePlan, "digest">): JsonObject {
  const { schemaVersion, task, createdBy, createdAt, chainId, appId, kms, contracts, owner, pinned } = plan;
  const { accepted, price, update, prune, upgrade } = plan;
  return toPlainJson({
    ...{ kind: planKind, schemaVersion, task, createdBy, createdAt, chainId, appId, kms, contracts, owner, pinned },
    changes: plan.changes.map(({ call, reason }) => ({ call: toPlainCall(call), reason })),
    ...{ accepted, price, update, upgrade },
    prune: prune && { policy: prune.policy, rows: prune.rows, unknowns: prune.unknowns },
  });
}

/** The keys always have the same order, so that calls can be compared as text. */
function toPlainCall({ contract, to, data, functionName, args, description, proof }: OwnerCall) {
  return { contract, to, data, functionName, args, description, proof };
}

function toPlainJson(value: object): JsonObject {
  return JSON.parse(
    JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? part.toString() : part)),
  ) as JsonObject;
}

/**
 * Reads the fields of a plan. Checks everything that needs no network: the form of each field, that each call is for a
 * contract that the plan names, that what the plan says of a call is what its calldata does, and the order of the calls.
 */
export function readPlanBody(body: unknown): PlanReading {
  try {
    const { kind: _, changes: raw, ...parsed } = planSchema.parse(body);
    const changes = raw.map(({ call: { contract, to, data, ...claims }, reason }, index) => {
      const call = decodeOwnerCall({ contract, to, data: data as Hex });
      if (call === undefined) throw new Flaw(`call ${index + 1} is not a function that this release knows`);
      if (JSON.stringify(toPlainJson(toPlainCall(call))) !== JSON.stringify({ contract, to, data, ...claims }))
        throw new Flaw(`call ${index + 1} is described as something else than its calldata does: ${call.description}`);
      return { call, reason };
    });
    const plan = { ...parsed, changes };
    requireConsistent(plan);
    return { plan: { ...plan, digest: digestOf(toPlanBody(plan)) } };
  } catch (error) {
    return { problem: problemOf(error) };
  }
}

/** A reason not to use a plan, as the end of a sentence. */
class Flaw extends Error {}

function problemOf(error: unknown): string {
  if (error instanceof Flaw) return error.message;
  if (error instanceof RangeError) return "it is nested too deeply";
  if (isDstackError(error)) return `a part of it is malformed: ${cleanText(error.message).replace(/\.$/, "")}`;
  if (!(error instanceof z.ZodError)) throw error;
  const [issue] = error.issues;
  return cleanText(`its field ${issue?.path.join(".") || "(root)"} is malformed: ${issue?.message ?? ""}`, 200);
}

function requireConsistent(plan: Omit<ChangePlan, "digest">): void {
  const { changes, contracts, appId, kms, prune } = plan;
  const main: Partial<Record<OwnedContract, Hex | undefined>> = { app: appId, kms };
  const other = contracts.find(({ contract, address }) => contract in main && main[contract] !== address);
  if (other !== undefined)
    throw new Flaw(
      `its ${other.contract} is ${main[other.contract] ?? "not named"}, but its contracts say ${other.address}`,
    );
  const calls = changes.map(({ call }) => call);
  const foreign = calls.findIndex(
    ({ contract, to }) => !contracts.some((one) => one.contract === contract && one.address === to),
  );
  if (foreign !== -1) throw new Flaw(`call ${foreign + 1} is for ${calls[foreign]?.to}, which the plan does not name`);
  if (orderCalls(calls).some((call, index) => call !== calls[index]))
    throw new Flaw("its calls are not in the order in which they are executed");
  const unfounded = changes.findIndex((change) => !isReasonFor(change, plan));
  if (unfounded !== -1)
    throw new Flaw(`call ${unfounded + 1} is not what its reason (${changes[unfounded]?.reason.rule}) stands for`);
  const unneeded = changes.flatMap(({ call, reason }) => (reason.rule === "unneeded" ? String(call.args[0]) : []));
  const removals = prune === undefined ? [] : removalsOf(prune);
  if (unneeded.join() !== removals.join()) throw new Flaw("its removals are not those that its prune rows decided");
}

/** Whether a call does what its reason says. Each reason has checks of its own, so none may stand for another call. */
function isReasonFor(
  { call: { contract, functionName, args }, reason }: PlannedChange,
  { update, upgrade }: Pick<ChangePlan, "update" | "upgrade">,
): boolean {
  const [value] = args;
  switch (reason.rule) {
    case "requested":
      return contract !== "app" || functionName !== "upgradeToAndCall";
    case "update":
      return (update?.cvms ?? []).some(
        ({ composeHash, deviceId }) =>
          (functionName === "addComposeHash" && value === composeHash) ||
          (functionName === "addDevice" && value === deviceId),
      );
    case "unneeded":
    case "revoked":
      return functionName === "removeComposeHash";
    case "upgrade":
      return contract === "app" && functionName === "upgradeToAndCall" && value === upgrade?.implementation;
  }
}

/** SHA-256 of the fields with sorted keys. */
export function digestOf(body: JsonObject): Hex {
  return `0x${createHash("sha256").update(writeCanonicalJson(body)).digest("hex")}`;
}
