import { createHash } from "node:crypto";
import { z } from "zod";
import { type Hex, parseAppId, parseComposeHash, parseFixedHex, parseTransactionHash } from "../core/ids.ts";
import { InvalidPlanFileError, isDstackError, UnusableFileError } from "../errors/index.ts";
import { faultCode, writeWholeFile } from "../files/own-file.ts";
import { readBoundedText } from "../files/read-bounded.ts";
import { unknownKinds } from "./allowlist-use.ts";
import type { PrunePlan } from "./plan-prune.ts";

/**
 * The plan in a file; undefined if the file does not exist.
 *
 * @throws InvalidPlanFileError
 */
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
 * Writes a plan. Overwrites an older plan, but no other file.
 *
 * @throws InvalidPlanFileError if the file holds something other than a plan
 */
export async function savePlan(path: string, plan: PrunePlan): Promise<void> {
  await loadPlan(path);
  await writeWholeFile(path, writePlanFile(plan)).catch((cause: unknown) => {
    const why = cause instanceof UnusableFileError ? `: ${cause.context.problem}` : "";
    throw new InvalidPlanFileError(path, `it cannot be written${why}`, { cause });
  });
}

/** @throws InvalidPlanFileError if the plan is for another app or chain than the command */
export function requirePlanFor(
  path: string,
  plan: Pick<PrunePlan, "chainId" | "appId">,
  wanted: Pick<PrunePlan, "chainId" | "appId">,
): void {
  if (plan.chainId !== wanted.chainId) {
    throw new InvalidPlanFileError(
      path,
      `it is for chain ${plan.chainId}, but the command uses chain ${wanted.chainId}`,
    );
  }
  if (plan.appId !== wanted.appId) {
    throw new InvalidPlanFileError(path, `it is for app ${plan.appId}, but the command is for app ${wanted.appId}`);
  }
}

/** The result of reading a plan: the plan, or the end of the sentence "The plan file is not usable: …". */
export type PlanReading = { readonly plan: PrunePlan } | { readonly problem: string };

const kind = "dstack-prune-plan";
const version = 1;

/**
 * A plan as the text of a file. Executing a plan checks all facts again, so a modified file can do no harm. The digest
 * makes a modification visible before anyone relies on the plan.
 */
export function writePlanFile(plan: PrunePlan): string {
  const { chainId, appId, owner, pinned, policy, rows, unknowns } = plan;
  // The type makes sure that every plan, with every reason of a keep rule, can be read again.
  const content: z.output<typeof planSchema> = { kind, version, chainId, appId, owner, pinned, policy, rows, unknowns };
  const body = JSON.parse(
    JSON.stringify(content, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value)),
  );
  return `${JSON.stringify({ ...body, digest: digestOf(body) }, null, 2)}\n`;
}

/** Reads what `writePlanFile` wrote, with any indentation. */
export function readPlanFile(text: string): PlanReading {
  const raw = z.looseObject({ kind: z.literal(kind), version: z.number() }).safeParse(parseJson(text));
  if (!raw.success) return { problem: "it is not a prune plan" };
  if (raw.data.version !== version)
    return { problem: `it has version ${raw.data.version}, but this release reads version ${version}` };
  const { digest, ...body } = raw.data;
  if (digest !== digestOf(body)) return { problem: "it was changed after it was written" };
  try {
    const { kind: _, version: __, ...plan } = planSchema.parse(body);
    return { plan: { ...plan, isExecutable: plan.unknowns.every(({ isAccepted }) => isAccepted) } };
  } catch (error) {
    if (error instanceof z.ZodError || isDstackError(error)) return { problem: "parts of it are missing or malformed" };
    throw error;
  }
}

function digestOf(body: object): string {
  return createHash("sha256").update(JSON.stringify(body)).digest("hex");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const composeHash = z.string().transform(parseComposeHash);
const address = z.string().transform((raw): Hex => parseFixedHex("An address", raw, 20));
const bigint = z
  .string()
  .regex(/^\d{1,30}$/)
  .transform(BigInt);
// JSON omits undefined values. The transforms restore the keys, so that a plan from a file has the same keys.
const cvm = z.strictObject({ id: z.string(), name: z.string(), status: z.string() });
const seconds = z.number().int().min(0);

const reasonSchema = z.discriminatedUnion("rule", [
  z.strictObject({ rule: z.literal("running"), cvm }),
  z.strictObject({ rule: z.literal("moving-to"), cvm }),
  z.strictObject({ rule: z.literal("prepared"), cvm, expiresAt: z.string() }),
  z.strictObject({ rule: z.literal("queued"), source: z.string() }),
  z.strictObject({ rule: z.literal("newest"), rank: z.number().int(), keep: z.number().int() }),
  z
    .strictObject({ rule: z.literal("young"), ageSeconds: z.number().int().optional(), olderThanSeconds: seconds })
    .transform(({ ageSeconds, ...reason }) => ({ ...reason, ageSeconds })),
  z.strictObject({ rule: z.literal("pinned"), source: z.string() }),
  z.strictObject({ rule: z.literal("last") }),
]);

const planSchema = z.strictObject({
  kind: z.literal(kind),
  version: z.literal(version),
  chainId: z.number().int().positive(),
  appId: z.string().transform(parseAppId),
  owner: address,
  pinned: z.strictObject({
    number: bigint,
    hash: z.string().transform((raw) => parseFixedHex("A block hash", raw, 32)),
    timestamp: bigint,
  }),
  policy: z
    .strictObject({
      keep: z.number().int().min(0),
      olderThanSeconds: seconds.optional(),
      pins: z.array(z.strictObject({ composeHash, source: z.string() })).readonly(),
      queued: z
        .array(z.strictObject({ source: z.string(), composeHashes: z.array(composeHash).readonly() }))
        .readonly(),
      acceptedUnknowns: z.array(z.enum(unknownKinds)).readonly(),
      mayEmptyList: z.boolean(),
    })
    .transform(({ olderThanSeconds, ...policy }) => ({ ...policy, olderThanSeconds })),
  rows: z
    .array(
      z
        .strictObject({
          composeHash,
          added: z
            .strictObject({
              blockNumber: bigint,
              logIndex: z.number().int().min(0),
              timestamp: bigint,
              transactionHash: z.string().transform(parseTransactionHash),
              by: address.optional(),
            })
            .transform(({ by, ...addition }) => ({ ...addition, by }))
            .optional(),
          verdict: z.enum(["keep", "remove"]),
          reasons: z.array(reasonSchema).readonly(),
        })
        .transform(({ added, ...row }) => ({ ...row, added })),
    )
    .readonly(),
  unknowns: z
    .array(z.strictObject({ kind: z.enum(unknownKinds), problem: z.string(), isAccepted: z.boolean() }))
    .readonly(),
});
