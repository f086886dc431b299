import { resolve } from "node:path";
import type { SQLInputValue, StatementSync } from "node:sqlite";
import { hexToBytes } from "viem";
import { z } from "zod";
import type { AppId, Hex } from "../core/ids.ts";
import { HistoryStoreError, type HistoryStoreProblem } from "../errors/index.ts";
import { prepareOwnDatabase, restrictDatabase } from "../files/own-file.ts";
import { DatabaseSync } from "../files/sqlite.ts";
import { type DecodePolicyChangesReturnType, decodeOrderedPolicyChanges, type PolicyLog } from "./policy.ts";
import type { BlockRange } from "./scan-logs.ts";

/** A block with the hash it had when it was part of the chain. */
export interface Checkpoint {
  readonly number: bigint;
  readonly hash: Hex;
}

const flag = z.boolean().optional();
const recordSchema = z.strictObject({
  createdInBlock: z
    .string()
    .regex(/^\d{1,16}$/)
    .optional(),
  initialFlags: z.strictObject({ allowAnyDevice: flag, requireTcbUpToDate: flag, upgradesDisabled: flag }).optional(),
});

/** Facts that were read once and stay true while their blocks stay in the chain. */
export type ScopeRecord = Readonly<z.infer<typeof recordSchema>>;

export interface ScopeContent extends DecodePolicyChangesReturnType {
  /** Ascending, neither overlapping nor touching. */
  readonly covered: readonly BlockRange[];
  /** Undefined if there is none. */
  readonly firstBlockWithLogs: bigint | undefined;
}

type Row = Record<string, SQLInputValue>;

/** A store's data about one app on one chain. Every change is one transaction, saved completely or not at all. */
export class HistoryScope {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #scope: number;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, path: string, scope: number) {
    this.#database = database;
    this.#path = path;
    this.#scope = scope;
  }

  /** Increases whenever logs are deleted. Data read under an older epoch may belong to replaced blocks. */
  epoch(): number {
    return withStoreErrors(this.#path, () => this.#epoch());
  }

  covered(): BlockRange[] {
    return withStoreErrors(this.#path, () => this.#covered());
  }

  record(): ScopeRecord {
    return withStoreErrors(this.#path, () => this.#record());
  }

  /** All data about the blocks up to `toBlock`, read in one transaction. */
  content(toBlock: bigint): ScopeContent {
    return this.#transaction("BEGIN", () => {
      const upTo = "FROM log WHERE scope = :scope AND block_number <= :toBlock";
      const parameters = { scope: this.#scope, toBlock: Number(toBlock) };
      const first = this.#all(`SELECT min(block_number) AS number ${upTo}`, parameters)[0]?.number;
      const rows = this.#prepare(`SELECT * ${upTo} ORDER BY scope, block_number, log_index`).iterate(parameters);
      return {
        covered: this.#covered(),
        firstBlockWithLogs: first == null ? undefined : BigInt(Number(first)),
        ...decodeOrderedPolicyChanges(this.#logs(rows)),
      };
    });
  }

  /** The newest block at or below `number` whose hash is known, from a checkpoint or a log. */
  checkpointAtOrBelow(number: bigint): Checkpoint | undefined {
    return withStoreErrors(this.#path, () => {
      const [row] = this.#all(
        `SELECT number, hash FROM (
           SELECT * FROM (SELECT number, hash FROM checkpoint
             WHERE scope = :scope AND number <= :number ORDER BY number DESC LIMIT 1)
           UNION ALL
           SELECT * FROM (SELECT block_number, block_hash FROM log
             WHERE scope = :scope AND block_number <= :number ORDER BY block_number DESC LIMIT 1)
         ) ORDER BY number DESC LIMIT 1`,
        { number: Number(number) },
      );
      return row && { number: BigInt(Number(row.number)), hash: toHex(row.hash) };
    });
  }

  /** Replaces the logs of a range, and marks the range as read. Returns false if the epoch has changed. */
  save(epoch: number, { fromBlock, toBlock }: BlockRange, logs: readonly PolicyLog[]): boolean {
    return this.#transaction("BEGIN IMMEDIATE", () => {
      if (this.#epoch() !== epoch) return false;
      const range = { from: Number(fromBlock), to: Number(toBlock) };
      this.#run("DELETE FROM log WHERE scope = :scope AND block_number BETWEEN :from AND :to", range);
      for (const log of logs)
        this.#run(
          `INSERT INTO log (scope, block_number, log_index, block_hash, transaction_hash, timestamp, topics, data)
           VALUES (:scope, :block_number, :log_index, :block_hash, :transaction_hash, :timestamp, :topics, :data)`,
          toRow(log),
        );
      const touching = "scope = :scope AND from_block <= :to + 1 AND to_block >= :from - 1";
      const [joined] = this.#all(
        `SELECT min(:from, min(from_block)) AS "from", max(:to, max(to_block)) AS "to" FROM covered WHERE ${touching}`,
        range,
      );
      this.#run(`DELETE FROM covered WHERE ${touching}`, range);
      this.#run("INSERT INTO covered (scope, from_block, to_block) VALUES (:scope, :from, :to)", {
        from: joined?.from ?? range.from, // null if no range touches
        to: joined?.to ?? range.to,
      });
      return true;
    });
  }

  /** Returns false if the epoch has changed. */
  saveCheckpoints(epoch: number, checkpoints: readonly Checkpoint[]): boolean {
    return this.#transaction("BEGIN IMMEDIATE", () => {
      if (this.#epoch() !== epoch) return false;
      for (const { number, hash } of checkpoints)
        this.#run("INSERT OR REPLACE INTO checkpoint (scope, number, hash) VALUES (:scope, :number, :hash)", {
          number: Number(number),
          hash: toBytes(hash),
        });
      return true;
    });
  }

  /** Returns false if the epoch has changed. */
  saveRecord(epoch: number, record: ScopeRecord): boolean {
    return this.#transaction("BEGIN IMMEDIATE", () => {
      if (this.#epoch() !== epoch) return false;
      const merged = JSON.stringify({ ...this.#record(), ...record });
      this.#run("UPDATE scope SET facts = :facts WHERE id = :scope", { facts: merged });
      return true;
    });
  }

  /** Saves block times, by block number, for the logs in those blocks. */
  saveTimestamps(epoch: number, timestamps: ReadonlyMap<bigint, bigint>): void {
    this.#transaction("BEGIN IMMEDIATE", () => {
      if (this.#epoch() !== epoch) return;
      for (const [number, timestamp] of timestamps)
        this.#run("UPDATE log SET timestamp = :timestamp WHERE scope = :scope AND block_number = :number", {
          number: Number(number),
          timestamp: Number(timestamp),
        });
    });
  }

  /** Deletes everything read above a block, because the chain has replaced it. Deletes everything if undefined. */
  forgetAbove(number: bigint | undefined): void {
    this.#transaction("BEGIN IMMEDIATE", () => {
      const last = { last: number === undefined ? -1 : Number(number) };
      this.#run("DELETE FROM log WHERE scope = :scope AND block_number > :last", last);
      this.#run("DELETE FROM checkpoint WHERE scope = :scope AND number > :last", last);
      this.#run("DELETE FROM covered WHERE scope = :scope AND from_block > :last", last);
      this.#run("UPDATE covered SET to_block = :last WHERE scope = :scope AND to_block > :last", last);
      const { createdInBlock } = this.#record();
      const isGone = createdInBlock !== undefined && (number === undefined || BigInt(createdInBlock) > number);
      this.#run(`UPDATE scope SET epoch = epoch + 1${isGone ? ", facts = '{}'" : ""} WHERE id = :scope`, {});
    });
  }

  *#logs(rows: Iterable<Row>): Iterable<PolicyLog> {
    for (const row of rows) {
      const log = toLog(row);
      const words = [log.blockHash, log.transactionHash, ...log.topics.slice(-1)];
      if (words.some((word) => word.length !== 66)) throw new HistoryStoreError(this.#path, "damaged");
      yield log;
    }
  }

  #epoch(): number {
    return Number(this.#all("SELECT epoch FROM scope WHERE id = :scope", {})[0]?.epoch);
  }

  #record(): ScopeRecord {
    const text = String(this.#all("SELECT facts FROM scope WHERE id = :scope", {})[0]?.facts);
    try {
      return recordSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw new HistoryStoreError(this.#path, "damaged", { cause });
    }
  }

  #covered(): BlockRange[] {
    return this.#all("SELECT from_block, to_block FROM covered WHERE scope = :scope ORDER BY from_block", {}).map(
      ({ from_block, to_block }) => ({ fromBlock: BigInt(Number(from_block)), toBlock: BigInt(Number(to_block)) }),
    );
  }

  #all(sql: string, parameters: Row): Row[] {
    return this.#prepare(sql).all({ scope: this.#scope, ...parameters }) as Row[]; // SELECT returns rows of this type
  }

  #run(sql: string, parameters: Row): void {
    this.#prepare(sql).run({ scope: this.#scope, ...parameters });
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #transaction<result>(begin: "BEGIN" | "BEGIN IMMEDIATE", work: () => result): result {
    return withStoreErrors(this.#path, () => inTransaction(this.#database, begin, work));
  }
}

function toRow(log: PolicyLog): Row {
  return {
    block_number: Number(log.blockNumber),
    log_index: log.logIndex,
    block_hash: toBytes(log.blockHash),
    transaction_hash: toBytes(log.transactionHash),
    timestamp: log.timestamp === undefined ? null : Number(log.timestamp),
    topics: toBytes(`0x${log.topics.map((topic) => topic.slice(2)).join("")}`),
    data: toBytes(log.data),
  };
}

function toLog(row: Row): PolicyLog {
  const topics = toHex(row.topics);
  return {
    blockNumber: BigInt(Number(row.block_number)),
    logIndex: Number(row.log_index),
    blockHash: toHex(row.block_hash),
    transactionHash: toHex(row.transaction_hash),
    timestamp: row.timestamp === null ? undefined : BigInt(Number(row.timestamp)),
    topics: Array.from(
      { length: Math.ceil((topics.length - 2) / 64) },
      (_, index): Hex => `0x${topics.slice(2 + 64 * index, 66 + 64 * index)}`,
    ),
    data: toHex(row.data),
  };
}

function toBytes(hex: Hex): Uint8Array {
  return Buffer.from(hex.slice(2), "hex");
}

/** Converts a value of a BLOB column. */
function toHex(value: SQLInputValue | undefined): Hex {
  const { buffer, byteOffset, byteLength } = value as Uint8Array; // STRICT tables
  return `0x${Buffer.from(buffer, byteOffset, byteLength).toString("hex")}`;
}

/** Marks the file as a history store: "dstk" in ASCII. */
const applicationId = 0x6473746b;
const schemaVersion = 1;
const busyTimeoutMs = 10_000;
const pauseMs = 20;
const inMemory = ":memory:";

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

/**
 * Opens a history store's file, and creates it if it does not exist.
 *
 * @throws HistoryStoreError
 * @throws UnusableFileError if the file is a link or a device, or another user or a repository may have written it
 */
export function openDatabase(path: string): DatabaseSync {
  const isKept = path !== inMemory;
  if (isKept) prepareOwnDatabase(path);
  const until = performance.now() + busyTimeoutMs;
  for (;;) {
    try {
      return withStoreErrors(path, () => open(path, isKept ? resolve(path) : inMemory));
    } catch (error) {
      // Switching a new file to WAL does not wait for another process that does the same.
      const isLocked = error instanceof HistoryStoreError && error.problem === "locked";
      if (!isLocked || performance.now() > until) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
    }
  }
}

/** @param file never a URI; a relative path could look like one */
function open(path: string, file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    // Triggers and other definitions in a damaged or foreign file must not call functions.
    database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA trusted_schema = OFF;`);
    // Check before writing anything: the file may belong to another program.
    inTransaction(database, "BEGIN", () => requireOurs(database, path));
    if (file !== inMemory) restrictDatabase(file);
    // WAL survives a crash of the process at any moment. With NORMAL, only a power failure can lose the last commits.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    // Two processes may find the file empty at the same time. Only one of them creates the tables.
    inTransaction(database, "BEGIN IMMEDIATE", () => {
      if (requireOurs(database, path))
        database.exec(`${schema} PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion};`);
    });
    const [report] = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {});
    if (report !== "ok") throw new HistoryStoreError(path, "damaged");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** True if the file is empty. @throws HistoryStoreError if the file belongs to another program or version */
function requireOurs(database: DatabaseSync, path: string): boolean {
  const id = pragma(database, "application_id");
  const version = pragma(database, "user_version");
  const isEmpty = database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() === undefined;
  if (isEmpty && id === 0 && version === 0) return true;
  if (id !== applicationId) throw new HistoryStoreError(path, "foreign");
  if (version !== schemaVersion) throw new HistoryStoreError(path, "newer");
  return false;
}

/** Runs `work` in one transaction; rolls back on an error. */
export function inTransaction<result>(
  database: DatabaseSync,
  begin: "BEGIN" | "BEGIN IMMEDIATE",
  work: () => result,
): result {
  database.exec(begin);
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    rollBack(database);
    throw error;
  }
}

/** Rolls back after an error. SQLite has already rolled back after some errors. */
function rollBack(database: DatabaseSync): void {
  try {
    database.exec("ROLLBACK");
  } catch {
    // No transaction was open. The caller gets the original error.
  }
}

function pragma(database: DatabaseSync, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name];
}

// SQLite's primary result codes. Extended codes contain them in their low byte.
const problemOf = new Map<number, HistoryStoreProblem>([
  [5, "locked"], // BUSY
  [6, "locked"], // LOCKED
  [11, "damaged"], // CORRUPT
  [26, "foreign"], // NOTADB: neither a database nor a part of one
]);

/** Converts SQLite's errors to HistoryStoreError. */
export function withStoreErrors<result>(path: string, work: () => result): result {
  try {
    return work();
  } catch (cause) {
    const code: unknown = Reflect.get(Object(cause), "errcode");
    if (typeof code !== "number") throw cause;
    throw new HistoryStoreError(path, problemOf.get(code & 0xff) ?? "unusable", { cause });
  }
}

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
 * @example
 * import { openHistoryStore } from "dstack-toolkit/history";
 * const store = openHistoryStore("history.sqlite");
 */
export function openHistoryStore(path: string): HistoryStore {
  const database = openDatabase(path);
  return {
    path,
    scope: ({ chainId, genesisHash }, appId) =>
      withStoreErrors(path, () => {
        const key = { chainId, genesis: hexToBytes(genesisHash), app: hexToBytes(appId) };
        database
          .prepare("INSERT OR IGNORE INTO scope (chain_id, genesis, app) VALUES (:chainId, :genesis, :app)")
          .run(key);
        const row = database
          .prepare("SELECT id FROM scope WHERE chain_id = :chainId AND genesis = :genesis AND app = :app")
          .get(key);
        return new HistoryScope(database, path, Number(row?.id));
      }),
    close: () => database.close(),
  };
}
