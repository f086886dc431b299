import { writeWholeFile } from "../chain/transactions/journal-file.ts";
import { readPlanFile, writePlanFile } from "../core/prune/plan-file.ts";
import type { PrunePlan } from "../core/prune/plan-prune.ts";
import { InvalidPlanFileError, UnusableFileError } from "../errors/index.ts";
import { faultCode } from "../files/own-file.ts";
import { readBoundedText } from "../files/read-bounded.ts";

/** The plan in a file; undefined if there is no such file. @throws InvalidPlanFileError */
export async function loadPlan(path: string): Promise<PrunePlan | undefined> {
  const text = await readBoundedText(path).catch((cause: unknown) => {
    if (!(cause instanceof UnusableFileError)) throw cause;
    if (faultCode(cause.cause) === "ENOENT") return undefined;
    throw new InvalidPlanFileError(path, `${cause.context.problem}`, { cause });
  });
  if (text === undefined) return undefined;
  const reading = readPlanFile(text);
  if ("problem" in reading) throw new InvalidPlanFileError(path, reading.problem);
  return reading.plan;
}

/**
 * Writes a plan, over an older one too, and over nothing else.
 *
 * @throws InvalidPlanFileError if the file holds something that is no plan
 */
export async function savePlan(path: string, plan: PrunePlan): Promise<void> {
  await loadPlan(path);
  await writeWholeFile(path, writePlanFile(plan)).catch((cause: unknown) => {
    throw new InvalidPlanFileError(path, "it cannot be written", { cause });
  });
}

/** @throws InvalidPlanFileError if the plan is for another app than the one the command is about */
export function requirePlanFor(
  path: string,
  plan: Pick<PrunePlan, "chainId" | "appId">,
  wanted: Pick<PrunePlan, "chainId" | "appId">,
): void {
  if (plan.chainId !== wanted.chainId) {
    throw new InvalidPlanFileError(path, `it is for chain ${plan.chainId}, and this is chain ${wanted.chainId}`);
  }
  if (plan.appId !== wanted.appId) {
    throw new InvalidPlanFileError(path, `it is for app ${plan.appId}, and the command for ${wanted.appId}`);
  }
}
