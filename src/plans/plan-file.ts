import { z } from "zod";
import { cleanText, parseJson } from "../core/text.ts";
import { InvalidPlanFileError } from "../errors/index.ts";
import { type DocumentKind, requireDocument, writeDocument } from "../files/document.ts";
import { defaultMaxBytes } from "../files/read-bounded.ts";
import type { ChangePlan } from "./change-plan.ts";
import { type PlanReading, readPlanBody, toPlanBody } from "./plan-body.ts";
import { planKind } from "./plan-schema.ts";

const planDocument: DocumentKind = {
  Unusable: InvalidPlanFileError,
  maxBytes: defaultMaxBytes,
  mayBeLink: true,
  isOne: (text) => isPlan(parseJson(text)),
};

/**
 * Reads a plan from a file. Refuses a file that was changed after it was written, and one whose descriptions are not
 * what its calldata does. Reads no chain: `checkPlan` compares a plan with the chain and the cloud.
 *
 * @throws InvalidPlanFileError
 *
 * @example
 * import { loadPlan } from "dstack-toolkit/plans";
 * const { digest, changes } = await loadPlan("plan.json");
 */
export async function loadPlan(path: string): Promise<ChangePlan> {
  const reading = readPlanFile(await requireDocument(path, planDocument));
  if ("problem" in reading) throw new InvalidPlanFileError(path, reading.problem);
  return reading.plan;
}

/**
 * Writes a plan for this user alone. Overwrites an older plan, but no other file.
 *
 * @throws InvalidPlanFileError if the file holds something other than a plan, or cannot be written
 *
 * @example
 * import { savePlan } from "dstack-toolkit/plans";
 * import { changePlan } from "./app.js";
 * await savePlan("plan.json", changePlan);
 */
export async function savePlan(path: string, plan: ChangePlan): Promise<void> {
  await writeDocument(path, writePlanFile(plan), planDocument);
}

/** A plan as the text of a file. */
export function writePlanFile(plan: ChangePlan): string {
  return `${JSON.stringify({ ...toPlanBody(plan), digest: plan.digest }, null, 2)}\n`;
}

/** Reads what `writePlanFile` wrote, with any indentation. */
export function readPlanFile(text: string): PlanReading {
  const raw = parseJson(text);
  if (!isPlan(raw)) return { problem: "it is not a plan" };
  if (raw.schemaVersion !== 1)
    return { problem: cleanText(`it has version ${raw.schemaVersion}, but this release reads version 1`, 100) };
  const { digest, ...body } = raw;
  const reading = readPlanBody(body);
  if ("problem" in reading) return reading;
  if (reading.plan.digest !== digest) return { problem: "it was changed after it was written" };
  // For example a key that is there twice: another program may read the other value.
  if (withoutSpace(text) !== withoutSpace(writePlanFile(reading.plan)))
    return { problem: "it is not written as this package writes plans" };
  return reading;
}

function withoutSpace(text: string): string {
  return text.replace(/\s+/g, "");
}

const planLike = z.looseObject({ kind: z.literal(planKind), schemaVersion: z.unknown() });

function isPlan(value: unknown): value is z.output<typeof planLike> {
  return planLike.safeParse(value).success;
}
