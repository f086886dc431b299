import { z } from "zod";
import { cleanText } from "../core/text.ts";
import { InvalidPlanFileError, UnusableFileError } from "../errors/index.ts";
import { faultCode, writeWholeFile } from "../files/own-file.ts";
import { defaultMaxBytes, readBoundedText } from "../files/read-bounded.ts";
import type { ChangePlan } from "./change-plan.ts";
import { type PlanReading, readPlanBody, toPlanBody } from "./plan-body.ts";
import { planKind } from "./plan-schema.ts";

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
  const text = await readText(path);
  if (text === undefined) throw new InvalidPlanFileError(path, "there is no such file");
  const reading = readPlanFile(text);
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
  const older = await readText(path);
  if (older !== undefined && !isPlan(parseJson(older))) throw new InvalidPlanFileError(path, "it is not a plan");
  const text = writePlanFile(plan);
  if (Buffer.byteLength(text) > defaultMaxBytes)
    throw new InvalidPlanFileError(path, "it would be too large to be read again: plan fewer changes");
  await writeWholeFile(path, text, { mode: 0o600 }).catch((cause: unknown) => {
    const why = cause instanceof UnusableFileError ? `: ${cause.context.problem}` : "";
    throw new InvalidPlanFileError(path, `it cannot be written${why}`, { cause });
  });
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined if there is no such file. */
async function readText(path: string): Promise<string | undefined> {
  return readBoundedText(path).catch((cause: unknown) => {
    if (!(cause instanceof UnusableFileError)) throw cause;
    if (faultCode(cause.cause) === "ENOENT") return undefined;
    throw new InvalidPlanFileError(path, `${cause.context.problem}`, { cause });
  });
}
