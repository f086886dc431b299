import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { acquireLock } from "../../chain/transactions/journal-file.ts";
import { InvalidArgumentError, JournalLockedError } from "../../errors/index.ts";
import type { ChainRecord } from "../chain/record.ts";
import type { DeployedContracts } from "../deploy-contracts.ts";
import { openWorldFile, type WorldEntry, type WorldHeader } from "./world-file.ts";

export type ChainDescription = WorldHeader["chain"];
export type SeededCvm = Extract<WorldEntry, { type: "seeded" }>["cvm"];

/** What a world knows of itself from earlier runs, and what it notes for later ones. */
export interface WorldState {
  readonly apiKey: string;
  readonly chain: ChainDescription;
  /** Absent where the chain is not ours to keep, or nothing is kept. */
  readonly record: ChainRecord | undefined;
  readonly contracts: DeployedContracts | undefined;
  noteContracts(contracts: DeployedContracts): void;
  /** Whether the world has got this one of its first CVMs, whatever became of it. */
  isSeeded(cvm: SeededCvm): boolean;
  noteSeeded(cvm: SeededCvm): void;
  close(): Promise<void>;
}

export interface OpenWorldStateParameters {
  /** The cloud's database; the world's own file is `<stateFile>.world`. Nothing is kept by default. */
  readonly stateFile: string | undefined;
  /** Asked when the world is new. */
  readonly describeChain: () => Promise<ChainDescription>;
}

/** @throws InvalidArgumentError, UnusableFileError, and what `describeChain` throws */
export async function openWorldState({ stateFile, describeChain }: OpenWorldStateParameters): Promise<WorldState> {
  return stateFile === undefined ? forgetfulState(await describeChain()) : keptState(stateFile, describeChain);
}

function forgetfulState(chain: ChainDescription): WorldState {
  return {
    apiKey: newApiKey(),
    chain,
    record: undefined,
    contracts: undefined,
    noteContracts: () => {},
    isSeeded: () => false,
    noteSeeded: () => {},
    close: async () => {},
  };
}

async function keptState(
  stateFile: string,
  describeChain: OpenWorldStateParameters["describeChain"],
): Promise<WorldState> {
  const path = `${stateFile}.world`;
  const lock = await lockFile(path);
  try {
    if (existsSync(stateFile) && !existsSync(path)) throw notAWorld(stateFile, `there is no ${path}`);
    const file = await openWorldFile(path, async () => {
      return { type: "world", version: 1, apiKey: newApiKey(), chain: await describeChain() };
    });
    const { header, entries, append } = file;
    const deployed = entries.findLast((entry) => entry.type === "contracts");
    const seeded = new Set(entries.flatMap((entry) => (entry.type === "seeded" ? [entry.cvm] : [])));
    if (seeded.size > 0 && !existsSync(stateFile)) {
      await file.close();
      throw notAWorld(stateFile, "it is gone");
    }
    return {
      apiKey: header.apiKey,
      chain: header.chain,
      record: header.chain.kind === "existing" ? undefined : toRecord(header.chain.genesis, entries, append),
      contracts: deployed && { kms: deployed.kms, appImplementation: deployed.appImplementation },
      noteContracts: ({ kms, appImplementation }) => append({ type: "contracts", kms, appImplementation }),
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

function toRecord(genesis: string, entries: readonly WorldEntry[], append: (entry: WorldEntry) => void): ChainRecord {
  return {
    genesis: new Date(genesis),
    requests: entries.filter((entry) => entry.type === "request"),
    append: (request) => append({ type: "request", ...request, params: [...request.params] }),
  };
}

async function lockFile(path: string) {
  try {
    return await acquireLock(path);
  } catch (error) {
    if (!(error instanceof JournalLockedError)) throw error;
    throw new InvalidArgumentError(`Another local world runs on ${path}.`, {
      nextStep: "Stop it first, or name another state file.",
      context: error.context,
    });
  }
}

function notAWorld(stateFile: string, why: string): InvalidArgumentError {
  return new InvalidArgumentError(`${stateFile} is no local world's state: ${why}.`, {
    nextStep: "Name another state file, or delete this one and its .world file to start anew.",
    context: { stateFile },
  });
}

/** Random, because the cloud may be told to listen beyond loopback. */
function newApiKey(): string {
  return `phak_${randomBytes(24).toString("hex")}`;
}

/** A world goes on only on the chain it began on. */
export function otherChain(stateFile: string | undefined, { kind }: ChainDescription): InvalidArgumentError {
  const what = { local: "a chain of its own", fork: "a fork", existing: "another chain or KMS" };
  return new InvalidArgumentError(`The world in ${stateFile} was made with ${what[kind]}.`, {
    nextStep: "Start it with the options it was first started with, or name another state file.",
    context: { stateFile, kind },
  });
}
