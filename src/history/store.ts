import { hexToBytes } from "viem";
import { z } from "zod";
import type { AppId, Hex } from "../core/ids.ts";
import { HistoryStoreError } from "../errors/index.ts";
import { type DatabaseFormat, OwnDatabase, type SqlValue } from "../files/own-database.ts";
import { type BlockRange, mergeRanges } from "./block-ranges.ts";
import { type DecodePolicyChangesReturnType, decodeOrderedPolicyChanges, type PolicyLog } from "./policy.ts";

/** A block with the hash it had when it was part of the chain. */
export interface Checkpoint {
  readonly number: bigint;
  readonly hash: Hex;
}

const flag = z.boolean().optional();
const factsSchema = z.strictObject({
  createdInBlock: z
    .string()
    .regex(/^\d{1,16}$/)
    .optional(),
  initialFlags: z.strictObject({ allowAnyDevice: flag, requireTcbUpToDate: flag, upgradesDisabled: flag }).optional(),
});
const recordSchema = factsSchema.extend({ indexed: factsSchema.optional() });

/** Facts that were read once and stay true while their blocks stay in the chain. */
export type ScopeFacts = Readonly<z.infer<typeof factsSchema>>;

export interface ScopeRecord extends ScopeFacts {
  /** Facts that rest on an index. A read without an index must not use them. */
  readonly indexed?: ScopeFacts | undefined;
}

/** Who delivered the logs of some blocks: the chain's endpoint, or an index with this host. */
export type Origin = "chain" | { readonly index: string };

export interface CoveredRange extends BlockRange {
  /** Host of the index that delivered the logs; undefined if the chain's endpoint did. */
  readonly index: string | undefined;
}

export interface ScopeContent extends DecodePolicyChangesReturnType {
  /** Ascending, not overlapping. */
  readonly covered: readonly CoveredRange[];
  /** Undefined if there is none. */
  readonly firstBlockWithLogs: bigint | undefined;
}

/** One log of the store. */
interface LogRow {
  readonly block_number: number;
  readonly log_index: number;
  readonly timestamp: number | null;
  /** Bytes of the block's hash. None if an index delivered the log: its word about a block's hash proves nothing. */
  readonly hashed: number;
  readonly transacted: number;
  readonly topics: number;
  /** Hashes of the block and the transaction, topics and data in hexadecimal, without 0x. */
  readonly bytes: string;
}

/** A store's data about one app on one chain. Every change is one transaction, saved completely or not at all. */
export class HistoryScope {
  readonly #database: OwnDatabase;
  readonly #path: string;
  readonly #scope: number;

  constructor(database: OwnDatabase, path: string, scope: number) {
    this.#database = database;
    this.#path = path;
    this.#scope = scope;
  }

  /** Increases whenever logs are deleted. Data read under an older epoch may belong to replaced blocks. */
  epoch(): number {
    const row = this.#first<{ epoch: number }>("SELECT epoch FROM scope WHERE id = :scope");
    return Number(row?.epoch);
  }

  covered(): CoveredRange[] {
    return this.#covered("SELECT * FROM covered WHERE scope = :scope ORDER BY from_block", {});
  }

  record(): ScopeRecord {
    const row = this.#first<{ facts: string }>("SELECT facts FROM scope WHERE id = :scope");
    try {
      return recordSchema.parse(JSON.parse(String(row?.facts)));
    } catch (cause) {
      throw new HistoryStoreError(this.#path, "damaged", { cause });
    }
  }

  /** All data about the blocks up to `toBlock`, or only what the chain's endpoint delivered. Read in one transaction. */
  content(toBlock: bigint, origins: "any" | "chain" = "any"): ScopeContent {
    return this.#database.snapshot(() => {
      const ofChain = origins === "any" ? "" : "AND length(block_hash) > 0";
      const upTo = `FROM log WHERE scope = :scope AND block_number <= :toBlock ${ofChain}`;
      const parameters = { scope: this.#scope, toBlock: Number(toBlock) };
      const first = this.#first<{ number: number | null }>(`SELECT min(block_number) AS number ${upTo}`, parameters);
      const rows = this.#database.iterate<LogRow>(
        `SELECT block_number, log_index, timestamp, length(block_hash) AS hashed,
           length(transaction_hash) AS transacted, length(topics) AS topics,
           lower(hex(block_hash || transaction_hash || topics || data)) AS bytes
         ${upTo} ORDER BY scope, block_number, log_index`,
        parameters,
      );
      return {
        covered: this.covered().filter(({ index }) => index === undefined || origins === "any"),
        firstBlockWithLogs: first?.number == null ? undefined : BigInt(first.number),
        ...decodeOrderedPolicyChanges(this.#logs(rows)),
      };
    });
  }

  /** The newest block at or below `number` whose hash is known, from a checkpoint or a log. */
  checkpointAtOrBelow(number: bigint): Checkpoint | undefined {
    const row = this.#first<{ number: number; hash: string }>(
      `SELECT number, lower(hex(hash)) AS hash FROM (
         SELECT * FROM (SELECT number, hash FROM checkpoint
           WHERE scope = :scope AND number <= :number ORDER BY number DESC LIMIT 1)
         UNION ALL
         SELECT * FROM (SELECT block_number, block_hash FROM log
           WHERE scope = :scope AND block_number <= :number AND length(block_hash) > 0
           ORDER BY block_number DESC LIMIT 1)
       ) ORDER BY number DESC LIMIT 1`,
      { number: Number(number) },
    );
    return row && { number: BigInt(row.number), hash: `0x${row.hash}` };
  }

  /** Replaces the logs of some ranges, and marks the ranges as read. Returns false if the epoch has changed. */
  save(
    epoch: number,
    ranges: BlockRange | readonly BlockRange[],
    logs: readonly PolicyLog[],
    origin: Origin = "chain",
  ): boolean {
    const index = origin === "chain" ? "" : origin.index;
    return this.#inEpoch(epoch, () => {
      for (const { fromBlock, toBlock } of mergeRanges([ranges].flat())) {
        const range = { from: Number(fromBlock), to: Number(toBlock) };
        this.#run("DELETE FROM log WHERE scope = :scope AND block_number BETWEEN :from AND :to", range);
        this.#cover({ ...range, index });
      }
      this.#database.runEach(
        `INSERT INTO log (scope, block_number, log_index, timestamp, block_hash, transaction_hash, topics, data)
         VALUES (?, ?, ?, ?, unhex(?), unhex(?), unhex(?), unhex(?))`,
        logs.map((log) => toValues(this.#scope, log)),
      );
    });
  }

  /** Takes the range from those of other origins, and joins it with those of its own that touch it. */
  #cover({ from, to, index }: { readonly from: number; readonly to: number; readonly index: string }): void {
    const touching = "scope = :scope AND from_block <= :to + 1 AND to_block >= :from - 1";
    const known = this.#covered(`SELECT * FROM covered WHERE ${touching} ORDER BY from_block`, { from, to });
    this.#run(`DELETE FROM covered WHERE ${touching}`, { from, to });
    const insert = (first: number, last: number, by: string) => {
      if (first > last) return;
      const row = { from: first, to: last, by };
      this.#run("INSERT INTO covered (scope, from_block, to_block, index_host) VALUES (:scope, :from, :to, :by)", row);
    };
    let [first, last] = [from, to];
    for (const { fromBlock, toBlock, index: by = "" } of known) {
      if (by === index) {
        first = Math.min(first, Number(fromBlock));
        last = Math.max(last, Number(toBlock));
      } else {
        insert(Number(fromBlock), Math.min(Number(toBlock), from - 1), by);
        insert(Math.max(Number(fromBlock), to + 1), Number(toBlock), by);
      }
    }
    insert(first, last, index);
  }

  /** Returns false if the epoch has changed. */
  saveCheckpoints(epoch: number, checkpoints: readonly Checkpoint[]): boolean {
    return this.#inEpoch(epoch, () => {
      for (const { number, hash } of checkpoints)
        this.#run("INSERT OR REPLACE INTO checkpoint (scope, number, hash) VALUES (:scope, :number, :hash)", {
          number: Number(number),
          hash: toBytes(hash),
        });
    });
  }

  /** Returns false if the epoch has changed. */
  saveRecord(epoch: number, record: ScopeRecord): boolean {
    return this.#inEpoch(epoch, () => {
      const merged = JSON.stringify({ ...this.record(), ...record });
      this.#run("UPDATE scope SET facts = :facts WHERE id = :scope", { facts: merged });
    });
  }

  /** Saves block times, by block number, for the logs in those blocks. */
  saveTimestamps(epoch: number, timestamps: ReadonlyMap<bigint, bigint>): void {
    this.#inEpoch(epoch, () => {
      for (const [number, timestamp] of timestamps)
        this.#run("UPDATE log SET timestamp = :timestamp WHERE scope = :scope AND block_number = :number", {
          number: Number(number),
          timestamp: Number(timestamp),
        });
    });
  }

  /** Deletes everything read above a block, because the chain has replaced it. Deletes everything if undefined. */
  forgetAbove(number: bigint | undefined): void {
    this.#database.transaction(() => {
      const last = { last: number === undefined ? -1 : Number(number) };
      this.#run("DELETE FROM log WHERE scope = :scope AND block_number > :last", last);
      this.#run("DELETE FROM checkpoint WHERE scope = :scope AND number > :last", last);
      this.#run("DELETE FROM covered WHERE scope = :scope AND from_block > :last", last);
      this.#run("UPDATE covered SET to_block = :last WHERE scope = :scope AND to_block > :last", last);
      const { createdInBlock, indexed } = this.record();
      const isGone = [createdInBlock, indexed?.createdInBlock].some(
        (block) => block !== undefined && (number === undefined || BigInt(block) > number),
      );
      this.#run(`UPDATE scope SET epoch = epoch + 1${isGone ? ", facts = '{}'" : ""} WHERE id = :scope`, {});
    });
  }

  /** Deletes everything that an index delivered. */
  forgetIndexed(): void {
    this.#database.transaction(() => {
      this.#run(
        `DELETE FROM log WHERE scope = :scope AND EXISTS (SELECT 1 FROM covered WHERE covered.scope = log.scope
           AND index_host <> '' AND block_number BETWEEN from_block AND to_block)`,
        {},
      );
      this.#run("DELETE FROM covered WHERE scope = :scope AND index_host <> ''", {});
      const { indexed: _, ...record } = this.record();
      const facts = JSON.stringify(record);
      this.#run("UPDATE scope SET epoch = epoch + 1, facts = :facts WHERE id = :scope", { facts });
    });
  }

  *#logs(rows: Iterable<LogRow>): Iterable<PolicyLog> {
    for (const row of rows) {
      const { hashed, transacted, topics } = row;
      if ((hashed !== 32 && hashed !== 0) || transacted !== 32 || topics % 32 !== 0)
        throw new HistoryStoreError(this.#path, "damaged");
      yield toLog(row);
    }
  }

  #covered(sql: string, parameters: Parameters): CoveredRange[] {
    type Row = { readonly from_block: number; readonly to_block: number; readonly index_host: string };
    return this.#database
      .all<Row>(sql, { scope: this.#scope, ...parameters })
      .map(({ from_block, to_block, index_host }) => ({
        fromBlock: BigInt(from_block),
        toBlock: BigInt(to_block),
        index: index_host || undefined,
      }));
  }

  #first<Row>(sql: string, parameters: Parameters = {}): Row | undefined {
    return this.#database.first<Row>(sql, { scope: this.#scope, ...parameters });
  }

  #run(sql: string, parameters: Parameters): void {
    this.#database.run(sql, { scope: this.#scope, ...parameters });
  }

  /** Returns false, and changes nothing, if the epoch has changed. */
  #inEpoch(epoch: number, work: () => void): boolean {
    return this.#database.transaction(() => {
      if (this.epoch() !== epoch) return false;
      work();
      return true;
    });
  }
}

type Parameters = Readonly<Record<string, SqlValue>>;

function toValues(scope: number, log: PolicyLog): SqlValue[] {
  const { blockNumber, logIndex, timestamp, blockHash = "0x", transactionHash, topics, data } = log;
  return [
    ...[scope, Number(blockNumber), logIndex, timestamp === undefined ? null : Number(timestamp)],
    ...[blockHash.slice(2), transactionHash.slice(2), topics.map((topic) => topic.slice(2)).join(""), data.slice(2)],
  ];
}

function toLog({ block_number, log_index, timestamp, hashed, topics: topicBytes, bytes }: LogRow): PolicyLog {
  const afterHash = 2 * hashed;
  const afterTransaction = afterHash + 64;
  const afterTopics = afterTransaction + 2 * topicBytes;
  const topics: Hex[] = [];
  for (let start = afterTransaction; start < afterTopics; start += 64)
    topics.push(`0x${bytes.slice(start, start + 64)}`);
  return {
    blockNumber: BigInt(block_number),
    logIndex: log_index,
    blockHash: hashed === 0 ? undefined : `0x${bytes.slice(0, afterHash)}`,
    transactionHash: `0x${bytes.slice(afterHash, afterTransaction)}`,
    timestamp: timestamp === null ? undefined : BigInt(timestamp),
    topics,
    data: `0x${bytes.slice(afterTopics)}`,
  };
}

function toBytes(hex: Hex): Uint8Array {
  return Buffer.from(hex.slice(2), "hex");
}

// A scope is one app on one chain. Two chains can share an id (a restarted local chain), so the id and the hash of the
// first block identify a chain. `epoch` counts how often stored data turned out to belong to replaced blocks.
const schema = `
CREATE TABLE scope (
  id INTEGER PRIMARY KEY,
  chain_id INTEGER NOT NULL,
  genesis BLOB NOT NULL,
  app BLOB NOT NULL,
  epoch INTEGER NOT NULL DEFAULT 0,
  facts TEXT NOT NULL DEFAULT '{}',
  UNIQUE (chain_id, genesis, app)
) STRICT;
CREATE TABLE covered (
  scope INTEGER NOT NULL REFERENCES scope,
  from_block INTEGER NOT NULL,
  to_block INTEGER NOT NULL CHECK (to_block >= from_block),
  index_host TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (scope, from_block)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (
  scope INTEGER NOT NULL REFERENCES scope,
  number INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (scope, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE log (
  scope INTEGER NOT NULL REFERENCES scope,
  block_number INTEGER NOT NULL,
  log_index INTEGER NOT NULL,
  block_hash BLOB NOT NULL,
  transaction_hash BLOB NOT NULL,
  timestamp INTEGER,
  topics BLOB NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (scope, block_number, log_index)
) STRICT, WITHOUT ROWID;
`;

/** "dstk" in ASCII. With NORMAL, only a power failure can lose the last commits, and the next run reads them again. */
const format: Omit<DatabaseFormat, "toError"> = {
  applicationId: 0x6473746b,
  version: 2,
  synchronous: "NORMAL",
  schema,
  migrations: ["ALTER TABLE covered ADD COLUMN index_host TEXT NOT NULL DEFAULT ''"],
};

/** Stores what was read about any number of apps and chains, so that the next run reads only new blocks. */
export interface HistoryStore {
  readonly path: string;
  /** For `readHistory`. */
  scope(chain: ChainIdentity, appId: AppId): HistoryScope;
  close(): void;
}

export interface ChainIdentity {
  readonly chainId: number;
  /** Hash of the chain's first block, because local chains share an id. */
  readonly genesisHash: Hex;
}

/**
 * Opens a history store, or creates it. Several processes may use it at once, and each may crash at any moment.
 *
 * @param path a file, or `:memory:`
 * @throws HistoryStoreError
 * @throws UnusableFileError if the file is a link or a device, or another user or a repository may have written it
 * @example
 * import { openHistoryStore } from "dstack-toolkit/history";
 * const store = openHistoryStore("history.sqlite");
 */
export function openHistoryStore(path: string): HistoryStore {
  const database = new OwnDatabase(path, {
    ...format,
    toError: (problem, options) => new HistoryStoreError(path, problem, options),
  });
  return {
    path,
    scope: ({ chainId, genesisHash }, appId) => {
      const key = { chainId, genesis: hexToBytes(genesisHash), app: hexToBytes(appId) };
      database.run("INSERT OR IGNORE INTO scope (chain_id, genesis, app) VALUES (:chainId, :genesis, :app)", key);
      const row = database.first<{ id: number }>(
        "SELECT id FROM scope WHERE chain_id = :chainId AND genesis = :genesis AND app = :app",
        key,
      );
      return new HistoryScope(database, path, Number(row?.id));
    },
    close: () => database.close(),
  };
}
