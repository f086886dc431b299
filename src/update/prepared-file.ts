import { lstat, rm } from "node:fs/promises";
import { z } from "zod";
import { checkAppCompose } from "../core/app-compose.ts";
import { type Hex, parseAppId, parseComposeHash, parseDeviceId } from "../core/ids.ts";
import type { JsonObject } from "../core/json.ts";
import { isDstackError, UnusableFileError } from "../errors/index.ts";
import { faultCode, openOwnFile, unusable, writeWholeFile } from "../files/own-file.ts";
import { defaultMaxBytes, readHandle } from "../files/read-bounded.ts";
import type { PreparedUpdate } from "./prepare-update.ts";

/** Prepared updates of one app that wait for the same owners. */
export interface PreparedUpdates {
  /** Keyed digest of the requested change. It recognises the same request. */
  readonly request: string;
  readonly updates: readonly (PreparedUpdate & {
    /** Whether the CVM runs the new document. */
    readonly isDone: boolean;
  })[];
}

const kind = "dstack-prepared-updates";
const text = z.string().min(1);
const optionalText = z.string().optional();
const fingerprint = z.string().regex(/^[0-9a-f]{64}$/);

const updateSchema = z
  .strictObject({
    cvm: text,
    name: z.string(),
    appId: text.transform(parseAppId),
    chainId: z.number().int().positive(),
    previousComposeHash: text.transform(parseComposeHash),
    composeHash: text.transform(parseComposeHash),
    deviceId: text.transform(parseDeviceId).optional(),
    token: text.optional(),
    expiresAt: text.optional(),
    draft: z.strictObject({
      ...{ dockerCompose: optionalText, preLaunchScript: optionalText, encryptedEnvironment: optionalText },
      allowedEnvs: z.array(z.string()).readonly().optional(),
      ...{ publicLogs: z.boolean().optional(), publicSysinfo: z.boolean().optional() },
      publicTcbinfo: z.boolean().optional(),
    }),
    document: z.record(z.string(), z.json()).transform((document) => checkAppCompose(document as JsonObject)), // JSON
    environment: fingerprint.nullable(),
    isDone: z.boolean(),
  })
  .transform(({ deviceId, token, expiresAt, ...update }) => ({ ...update, deviceId, token, expiresAt }));

const fileSchema = z.strictObject({
  kind: z.literal(kind),
  schemaVersion: z.literal(1),
  plan: z.string(),
  request: fingerprint,
  updates: z.array(updateSchema).readonly(),
});

/**
 * Stores prepared updates for this user alone. They hold commit tokens and encrypted environments. Keep them out of
 * repositories and logs, and remove them when all updates are done: `removePreparedUpdates`.
 *
 * @param plan digest of the plan that the owners sign
 * @throws UnusableFileError
 *
 * @example
 * import { savePreparedUpdates } from "dstack-toolkit/update";
 * import { digest, preparedUpdate } from "./app.js";
 * const updates = [{ ...preparedUpdate, isDone: false }];
 * await savePreparedUpdates(".dstack/prepared/release.json", digest, { request: "00".repeat(32), updates });
 */
export async function savePreparedUpdates(path: string, plan: Hex, prepared: PreparedUpdates): Promise<void> {
  const { request, updates } = prepared;
  // The type makes sure that everything that is written can be read again.
  const content: z.output<typeof fileSchema> = { kind, schemaVersion: 1, plan, request, updates };
  await writeWholeFile(path, `${JSON.stringify(content)}\n`, { mode: 0o600 });
}

/**
 * Reads prepared updates. Refuses a file that another user or a repository may have put there, and one of another plan.
 * Undefined if the file does not exist.
 *
 * @throws UnusableFileError
 *
 * @example
 * import { loadPreparedUpdates } from "dstack-toolkit/update";
 * import { digest } from "./app.js";
 * const prepared = await loadPreparedUpdates(".dstack/prepared/release.json", digest);
 */
export async function loadPreparedUpdates(path: string, plan: Hex): Promise<PreparedUpdates | undefined> {
  const raw = await readOwnText(path);
  if (raw === undefined) return undefined;
  const parsed = parseFile(raw);
  if (parsed === undefined) throw new UnusableFileError(path, "it does not hold prepared updates of this release");
  if (parsed.plan !== plan) throw new UnusableFileError(path, "it belongs to another plan");
  return { request: parsed.request, updates: parsed.updates };
}

/**
 * Removes the file of prepared updates, if it exists.
 *
 * @throws UnusableFileError
 *
 * @example
 * import { removePreparedUpdates } from "dstack-toolkit/update";
 * await removePreparedUpdates(".dstack/prepared/release.json");
 */
export async function removePreparedUpdates(path: string): Promise<void> {
  await rm(path, { force: true }).catch((error: unknown) => {
    throw unusable(path, error);
  });
}

async function readOwnText(path: string): Promise<string | undefined> {
  const isMissing = await lstat(path).then(
    () => false,
    (error: unknown) => faultCode(error) === "ENOENT",
  );
  if (isMissing) return undefined;
  const handle = await openOwnFile(path);
  try {
    return (await readHandle(path, handle, defaultMaxBytes)).toString("utf8");
  } finally {
    await handle.close();
  }
}

function parseFile(raw: string): z.output<typeof fileSchema> | undefined {
  try {
    return fileSchema.parse(JSON.parse(raw));
  } catch (error) {
    // Neither error may be shown: both can quote a token.
    if (error instanceof z.ZodError || error instanceof SyntaxError || isDstackError(error)) return undefined;
    throw error;
  }
}
