import { appendFileSync, existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { z } from "zod";
import { InvalidArgumentError } from "../../errors/index.ts";
import { openOwnFile } from "../../files/own-file.ts";
import { readHandle } from "../../files/read-bounded.ts";

/** Of a world whose chain has seen hundreds of thousands of requests. */
const maxBytes = 256 * 1024 * 1024;

const hex = z.templateLiteral(["0x", z.string().regex(/^[0-9a-fA-F]+$/)]);

const headerSchema = z.object({
  type: z.literal("world"),
  version: z.literal(1),
  apiKey: z.string(),
  /** What the world's chain is; a restart must ask for the same. */
  chain: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("local"), genesis: z.iso.datetime() }),
    z.object({
      kind: z.literal("fork"),
      genesis: z.iso.datetime(),
      blockNumber: z.string(),
      hardfork: z.literal("granite").optional(),
    }),
    z.object({ kind: z.literal("existing"), id: z.number(), kms: hex }),
  ]),
});

const entrySchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("request"),
    method: z.string(),
    params: z.array(z.unknown()),
    minedAt: z.number().optional(),
    head: z.string(),
    clockOffset: z.number(),
  }),
  z.object({ type: z.literal("contracts"), kms: hex, appImplementation: hex }),
  z.object({ type: z.literal("seeded"), cvm: z.enum(["onChain", "offChain"]) }),
]);

export type WorldHeader = z.infer<typeof headerSchema>;
export type WorldEntry = z.infer<typeof entrySchema>;

/** What a local world must remember beside the cloud's database: its API key, and what happened on its chain. */
export interface WorldFile {
  readonly header: WorldHeader;
  /** Of earlier runs. */
  readonly entries: readonly WorldEntry[];
  append(entry: WorldEntry): void;
  close(): Promise<void>;
}

/**
 * Opens the file, or begins it with what `makeHeader` answers. Every line is written before anything rests on it, so
 * the death of the process at any moment costs at most a last line nobody has heard of.
 *
 * @throws InvalidArgumentError, and what `makeHeader` throws
 * @throws UnusableFileError if the file is a link or a device, or another user could have written it
 */
export async function openWorldFile(path: string, makeHeader: () => Promise<WorldHeader>): Promise<WorldFile> {
  const isNew = !existsSync(path);
  // A project may keep the state of a world among its sources.
  const file = await openOwnFile(path, { mayBeTracked: true });
  try {
    const bytes = await readHandle(path, file, maxBytes);
    const end = bytes.lastIndexOf("\n") + 1;
    const [first, ...rest] = bytes.subarray(0, end).toString("utf8").split("\n").slice(0, -1);
    const header = first === undefined ? await makeHeader() : parseLine(path, 1, first, headerSchema);
    const entries = rest.map((line, index) => parseLine(path, index + 2, line, entrySchema));
    await file.chmod(0o600); // the API key is in it
    await file.truncate(end);
    const append = (line: WorldHeader | WorldEntry) => appendFileSync(file.fd, `${JSON.stringify(line)}\n`);
    if (first === undefined) append(header);
    return { header, entries, append, close: () => file.close() };
  } catch (error) {
    await file.close();
    if (isNew) await rm(path, { force: true });
    throw error;
  }
}

function parseLine<Shape>(path: string, number: number, line: string, schema: z.ZodType<Shape>): Shape {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw new InvalidArgumentError(`Line ${number} of ${path} is not a local world's.`, {
      nextStep: "Name another state file, or delete this one and its .world file to start anew.",
      context: { path, line: number },
      cause,
    });
  }
}
