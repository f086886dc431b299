import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { HistoryStoreError, type HistoryStoreProblem } from "../../errors/index.ts";
import { prepareOwnDatabase, restrictDatabase } from "../../files/own-file.ts";

/** Marks the file as ours: "dstk" in ASCII. */
const applicationId = 0x6473746b;
const schemaVersion = 1;
const busyTimeoutMs = 10_000;
const pauseMs = 20;
const inMemory = ":memory:";

// A scope is one app on one chain. Two chains can share an id (a local chain that was started again), so a chain is its
// id and the hash of its first block. `epoch` counts the times what was read turned out to be of blocks that were replaced.
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
 * Opens a history store's file, which is made if it does not exist.
 *
 * @throws HistoryStoreError
 * @throws UnusableFileError if the file is a link or a device, or may come from a repository or another user: it could
 * hide what an app allows
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

/** @param file never a URI, which a relative path may look like */
function open(path: string, file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    // What a damaged or foreign file defines, such as a trigger, may not call functions.
    database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA trusted_schema = OFF;`);
    // Looks before it writes anything: the file may be somebody else's.
    inTransaction(database, "BEGIN", () => requireOurs(database, path));
    if (file !== inMemory) restrictDatabase(file);
    // WAL survives the death of the process at any moment; NORMAL may lose the last commits, only with the power.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    // Two processes may find the file empty at the same time: one of them makes the tables.
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

/** True if the file is empty. @throws HistoryStoreError if it is not ours */
function requireOurs(database: DatabaseSync, path: string): boolean {
  const id = pragma(database, "application_id");
  const version = pragma(database, "user_version");
  const isEmpty = database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() === undefined;
  if (isEmpty && id === 0 && version === 0) return true;
  if (id !== applicationId) throw new HistoryStoreError(path, "foreign");
  if (version !== schemaVersion) throw new HistoryStoreError(path, "newer");
  return false;
}

/** All or nothing. */
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

/** After a fault: SQLite has rolled some of them back by itself. */
function rollBack(database: DatabaseSync): void {
  try {
    database.exec("ROLLBACK");
  } catch {
    // Nothing was open any more; the fault itself is what the caller has to hear of.
  }
}

function pragma(database: DatabaseSync, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name];
}

// SQLite's primary result codes; the extended ones keep them in their low byte.
const problemOf = new Map<number, HistoryStoreProblem>([
  [5, "locked"], // BUSY
  [6, "locked"], // LOCKED
  [11, "damaged"], // CORRUPT
  [26, "foreign"], // NOTADB: neither a database nor a part of one
]);

/** Gives SQLite's errors our own type. */
export function withStoreErrors<result>(path: string, work: () => result): result {
  try {
    return work();
  } catch (cause) {
    const code: unknown = Reflect.get(Object(cause), "errcode");
    if (typeof code !== "number") throw cause;
    throw new HistoryStoreError(path, problemOf.get(code & 0xff) ?? "unusable", { cause });
  }
}
