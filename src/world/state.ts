import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, ftruncateSync } from "node:fs";
import { rm } from "node:fs/promises";
import { z } from "zod";
import { InvalidArgumentError } from "../errors/index.ts";
import { acquireLock, type FileLock } from "../files/file-lock.ts";
import { openOwnFile, unusable } from "../files/own-file.ts";
import { readHandle } from "../files/read-bounded.ts";
import { type AdoptedCvms, formatAdoptedCvms, parseAdoptedCvms } from "./adopted-cvms.ts";
import { baseChainId } from "./chain/predeploys.ts";
import type { ChainRecord } from "./chain/record.ts";
import type { DeployedContracts } from "./contracts.ts";
import type { WorldSafe } from "./safe.ts";

export type ChainDescription = WorldHeader["chain"];
export type SeededCvm = Extract<WorldEntry, { type: "seeded" }>["cvm"];

/** Data of earlier runs of a world, and methods that store data for later runs. */
export interface WorldState {
  readonly apiKey: string;
  readonly chain: ChainDescription;
  /** Undefined if the chain runs outside this world, or nothing is kept. */
  readonly record: ChainRecord | undefined;
  readonly contracts: DeployedContracts | undefined;
  noteContracts(contracts: DeployedContracts): void;
  readonly adopted: AdoptedCvms | undefined;
  noteAdopted(adopted: AdoptedCvms): void;
  readonly safe: WorldSafe | undefined;
  noteSafe(safe: WorldSafe): void;
  /** Whether this initial CVM was created before, even if it was deleted later. */
  isSeeded(cvm: SeededCvm): boolean;
  noteSeeded(cvm: SeededCvm): void;
  close(): Promise<void>;
}

export interface OpenWorldStateParameters {
  /** The cloud's database. The world's own file is `<stateFile>.world`. @default nothing is kept */
  readonly stateFile: string | undefined;
  /** Called when the world is new. */
  readonly describeChain: () => Promise<ChainDescription>;
}

/** @throws InvalidArgumentError, UnusableFileError, and what `describeChain` throws */
export async function openWorldState({ stateFile, describeChain }: OpenWorldStateParameters): Promise<WorldState> {
  return stateFile === undefined ? memoryState(await describeChain()) : fileState(stateFile, describeChain);
}

function memoryState(chain: ChainDescription): WorldState {
  return {
    apiKey: newApiKey(),
    chain,
    record: undefined,
    contracts: undefined,
    noteContracts: () => {},
    adopted: undefined,
    noteAdopted: () => {},
    safe: undefined,
    noteSafe: () => {},
    isSeeded: () => false,
    noteSeeded: () => {},
    close: async () => {},
  };
}

async function fileState(
  stateFile: string,
  describeChain: OpenWorldStateParameters["describeChain"],
): Promise<WorldState> {
  const path = `${stateFile}.world`;
  const lock = await lockFile(path);
  try {
    if (existsSync(stateFile) && !existsSync(path)) throw invalidStateFile(stateFile, `there is no ${path}`);
    const file = await openWorldFile(path, async () => {
      return { type: "world", version: 1, apiKey: newApiKey(), chain: await describeChain() };
    });
    const { header, entries, append } = file;
    const deployed = entries.findLast((entry) => entry.type === "contracts");
    const seeded = new Set(entries.flatMap((entry) => (entry.type === "seeded" ? [entry.cvm] : [])));
    if (seeded.size > 0 && !existsSync(stateFile)) {
      await file.close();
      throw invalidStateFile(stateFile, "it is gone");
    }
    return {
      apiKey: header.apiKey,
      chain: header.chain,
      record: header.chain.kind === "existing" ? undefined : toRecord(header.chain.genesis, entries, append),
      contracts: deployed && { kms: deployed.kms, appImplementation: deployed.appImplementation },
      noteContracts: ({ kms, appImplementation }) => append({ type: "contracts", kms, appImplementation }),
      adopted: readAdopted(entries),
      noteAdopted: (adopted) => append({ type: "adopted", file: formatAdoptedCvms(adopted) }),
      safe: entries.findLast((entry) => entry.type === "safe")?.safe,
      noteSafe: (safe) => append({ type: "safe", safe: { ...safe, owners: [...safe.owners] } }),
      isSeeded: (cvm) => seeded.has(cvm),
      noteSeeded: (cvm) => append({ type: "seeded", cvm }),
      close: async () => {
        await file.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function readAdopted(entries: readonly WorldEntry[]): AdoptedCvms | undefined {
  const adopted = entries.findLast((entry) => entry.type === "adopted");
  return adopted && parseAdoptedCvms(adopted.file);
}

function toRecord(genesis: string, entries: readonly WorldEntry[], append: (entry: WorldEntry) => void): ChainRecord {
  return {
    genesis: new Date(genesis),
    requests: entries.filter((entry) => entry.type === "request"),
    append: (request) => append({ type: "request", ...request, params: [...request.params] }),
  };
}

/** @throws InvalidArgumentError if another world has the file */
async function lockFile(path: string): Promise<FileLock> {
  const acquired = await acquireLock(path);
  if (acquired.lock !== undefined) return acquired.lock;
  const { holder } = acquired;
  const since = describeTime(holder.since);
  const machine = holder.isLocal ? "" : ` on ${holder.host}`;
  throw new InvalidArgumentError(
    `Another local world runs on ${path} (process ${holder.pid}${machine}, since ${since}).`,
    {
      nextStep: `Stop it first, or use another state file. If no process of this package has that number${holder.isLocal ? "" : " on that machine"}, delete ${holder.lockFile}.`,
      context: { path, ...holder, since },
    },
  );
}

/** Formats the time in the name of a lock file, which can contain any number. */
function describeTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? "an unknown time" : time.toISOString();
}

function invalidStateFile(stateFile: string, why: string): InvalidArgumentError {
  return new InvalidArgumentError(`${stateFile} is not the state of a local world: ${why}.`, {
    nextStep: "Use another state file, or delete this file and its .world file to start again.",
    context: { stateFile },
  });
}

/** Random, because the cloud may listen beyond loopback. */
function newApiKey(): string {
  return `phak_${randomBytes(24).toString("hex")}`;
}

/** The state belongs to one chain, so the world cannot continue on another one. */
export function otherChain(stateFile: string | undefined, chain: ChainDescription): InvalidArgumentError {
  const { kind, id } = chain;
  const what = { local: "its own chain", fork: "a fork", existing: "an existing chain and KMS" };
  const of = chain.kind === "fork" ? ` at block ${chain.blockNumber}${chain.kms ? ` with KMS ${chain.kms}` : ""}` : "";
  return new InvalidArgumentError(`The world in ${stateFile} was created with ${what[kind]}${of}, chain id ${id}.`, {
    nextStep: "Start it with the options of its first start, or use another state file.",
    context: { stateFile, kind, id },
  });
}

/** Enough for a world whose chain received hundreds of thousands of requests. */
const maxBytes = 256 * 1024 * 1024;

const hex = z.templateLiteral(["0x", z.string().regex(/^[0-9a-fA-F]+$/)]);

const headerSchema = z.object({
  type: z.literal("world"),
  version: z.literal(1),
  apiKey: z.string(),
  /** Describes the world's chain. A restart must use the same chain. */
  chain: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("local"), genesis: z.iso.datetime(), id: z.number().default(baseChainId) }),
    z.object({
      kind: z.literal("fork"),
      genesis: z.iso.datetime(),
      id: z.number().default(baseChainId),
      forkedId: z.number().default(baseChainId),
      blockNumber: z.string(),
      hardfork: z.literal("granite").optional(),
      /** A contract of the forked chain. Without it the world deploys its own. */
      kms: hex.optional(),
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
  z.object({ type: z.literal("adopted"), file: z.string() }),
  z.object({
    type: z.literal("safe"),
    safe: z.object({
      address: hex,
      version: z.enum(["1.4.1", "1.5.0"]),
      threshold: z.number(),
      owners: z.array(hex),
      multiSend: hex,
    }),
  }),
  z.object({ type: z.literal("seeded"), cvm: z.enum(["onChain", "offChain"]) }),
]);

export type WorldHeader = z.infer<typeof headerSchema>;
export type WorldEntry = z.infer<typeof entrySchema>;

/** The data that a local world keeps besides the cloud's database: its API key and its chain's history. */
export interface WorldFile {
  readonly header: WorldHeader;
  /** The entries of earlier runs. */
  readonly entries: readonly WorldEntry[];
  append(entry: WorldEntry): void;
  close(): Promise<void>;
}

/**
 * Opens the file, or creates it with the header from `makeHeader`. Each line is written before the world depends on it.
 * So if the process is killed, at most the last, unused line is lost.
 *
 * @throws InvalidArgumentError, and the errors of `makeHeader`
 * @throws UnusableFileError if the file is a link or a device, or another user could have written it
 */
export async function openWorldFile(path: string, makeHeader: () => Promise<WorldHeader>): Promise<WorldFile> {
  const isNew = !existsSync(path);
  // A project may keep the file among its sources.
  const file = await openOwnFile(path, { mayBeTracked: true });
  try {
    const bytes = await readHandle(path, file, maxBytes);
    const end = bytes.lastIndexOf("\n") + 1;
    const [first, ...rest] = bytes.subarray(0, end).toString("utf8").split("\n").slice(0, -1);
    const header = first === undefined ? await makeHeader() : parseLine(path, 1, first, headerSchema);
    const entries = rest.map((line, index) => parseLine(path, index + 2, line, entrySchema));
    await file.chmod(0o600); // the API key is in it
    await file.truncate(end);
    let length = end;
    const append = (line: WorldHeader | WorldEntry) => {
      const added = Buffer.from(`${JSON.stringify(line)}\n`);
      try {
        appendFileSync(file.fd, added);
        length += added.length;
      } catch (error) {
        // A full disk may take a part of the line. The next line must not follow it.
        ftruncateSync(file.fd, length);
        throw unusable(path, error);
      }
    };
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
    throw new InvalidArgumentError(`Line ${number} of ${path} does not belong to a local world.`, {
      nextStep: "Use another state file, or delete this file and its .world file to start again.",
      context: { path, line: number },
      cause,
    });
  }
}
