import { resolve } from "node:path";
import type { SQLInputValue, StatementSync } from "node:sqlite";
import { prepareOwnDatabase, restrictDatabase } from "./own-file.ts";
import { DatabaseSync } from "./sqlite.ts";

export type DatabaseProblem = "damaged" | "foreign" | "newer" | "unusable" | "locked" | "full";

export interface DatabaseFormat {
  /** SQLite's `application_id`, which marks the file as one of this kind. */
  readonly applicationId: number;
  readonly version: number;
  /** The statements that create the tables. */
  readonly schema: string;
  /** For each older version, from version 1 on, the statements that lead to the next one. */
  readonly migrations?: readonly string[];
  /** With FULL, a commit survives a power failure. With NORMAL, it survives a crash of the process. */
  readonly synchronous: "NORMAL" | "FULL";
  readonly toError: (problem: DatabaseProblem, options: { readonly cause?: unknown }) => Error;
}

export type SqlValue = SQLInputValue;
type Parameters = Readonly<Record<string, SqlValue>>;

/** A database in memory. */
export const inMemory = ":memory:";
const busyTimeoutMs = 10_000;
const pauseMs = 20;

/**
 * An SQLite database that only this package writes. Several processes may use it at once, and each may be killed at any
 * moment. All calls are synchronous, so the transactions of one process never interleave.
 */
export class OwnDatabase {
  readonly #sqlite: DatabaseSync;
  readonly #toError: DatabaseFormat["toError"];
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;
  #isClosed = false;

  /**
   * Opens the file, or creates it for this user only.
   *
   * @param path a file, or `:memory:`
   * @throws UnusableFileError if the file is a link or a device, or may come from a repository or another user
   * @throws what `toError` returns
   */
  constructor(path: string, format: DatabaseFormat) {
    this.#toError = format.toError;
    if (path !== inMemory) prepareOwnDatabase(path);
    const until = performance.now() + busyTimeoutMs;
    for (;;) {
      try {
        this.#sqlite = open(path, format);
        return;
      } catch (error) {
        // Switching a new file to WAL does not wait for another process that does the same.
        const code = resultCodeOf(error);
        if (code === undefined) throw error;
        if (problemOf.get(code) !== "locked" || performance.now() > until) throw this.#translate(error);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
      }
    }
  }

  /** The caller must name the row type that the statement selects; STRICT tables enforce the types of the columns. */
  all<Row>(sql: string, parameters: Parameters = {}): Row[] {
    return this.#guard(() => this.#prepare(sql).all({ ...parameters }) as Row[]);
  }

  first<Row>(sql: string, parameters: Parameters = {}): Row | undefined {
    return this.all<Row>(sql, parameters)[0];
  }

  /** Runs a statement, and returns the id of the row that it inserted. */
  run(sql: string, parameters: Parameters = {}): number {
    return this.#guard(() => Number(this.#prepare(sql).run({ ...parameters }).lastInsertRowid));
  }

  /** As `all`, one row at a time. */
  *iterate<Row>(sql: string, parameters: Parameters = {}): Generator<Row> {
    const rows = this.#guard(() => this.#prepare(sql).iterate({ ...parameters }));
    for (;;) {
      const { done, value } = this.#guard(() => rows.next());
      if (done === true) return;
      yield value as Row;
    }
  }

  /** Runs a statement once for each row of values, in the order of its question marks. Much faster than named values. */
  runEach(sql: string, rows: Iterable<readonly SqlValue[]>): void {
    this.#guard(() => {
      const statement = this.#prepare(sql);
      for (const values of rows) statement.run(...values);
    });
  }

  /**
   * Runs all of the work or none of it, while no other process writes. The work must be synchronous. A nested call joins
   * the outer transaction.
   */
  transaction<Result>(work: () => Result): Result {
    return this.#within("BEGIN IMMEDIATE", work);
  }

  /** All reads of the work see one state of the database. The work must be synchronous. */
  snapshot<Result>(work: () => Result): Result {
    return this.#within("BEGIN", work);
  }

  #within<Result>(begin: string, work: () => Result): Result {
    if (this.#depth > 0) return work();
    this.#guard(() => this.#sqlite.exec(begin));
    this.#depth += 1;
    try {
      const result = work();
      this.#guard(() => this.#sqlite.exec("COMMIT"));
      return result;
    } catch (error) {
      rollBack(this.#sqlite);
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  close(): void {
    if (!this.#isClosed) this.#sqlite.close();
    this.#isClosed = true;
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#sqlite.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }

  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw this.#translate(error);
    }
  }

  #translate(cause: unknown): unknown {
    const code = resultCodeOf(cause);
    return code === undefined ? cause : this.#toError(problemOf.get(code) ?? "unusable", { cause });
  }
}

function open(path: string, format: DatabaseFormat): DatabaseSync {
  const { schema, migrations = [], applicationId, version, synchronous } = format;
  const database = new DatabaseSync(path === inMemory ? path : resolve(path)); // a relative path could look like a URI
  try {
    // Triggers and other definitions in a damaged or foreign file must not call functions.
    database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA trusted_schema = OFF;`);
    // Checked in one transaction, and before anything is written: the file may belong to another program.
    database.exec("BEGIN");
    versionOf(database, format);
    database.exec("COMMIT");
    if (path !== inMemory) restrictDatabase(resolve(path));
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA foreign_keys = ON;`);
    // Two processes may find the file empty or old at the same time. Only one of them creates or changes the tables.
    database.exec("BEGIN IMMEDIATE");
    const found = versionOf(database, format);
    for (const statements of found === 0 ? [schema] : migrations.slice(found - 1)) database.exec(statements);
    if (found !== version) database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version};`);
    database.exec("COMMIT");
    const [report] = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {});
    if (report !== "ok") throw format.toError("damaged", {});
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Ends a transaction after an error. After some errors, SQLite itself has ended it. */
function rollBack(database: DatabaseSync): void {
  try {
    database.exec("ROLLBACK");
  } catch {
    // The caller gets the error that came first.
  }
}

/** The version of the file's tables; 0 if the file is empty. Throws if it belongs to another program or a newer version. */
function versionOf(database: DatabaseSync, { applicationId, version, toError }: DatabaseFormat): number {
  const pragma = (name: string) => database.prepare(`PRAGMA ${name}`).get()?.[name];
  const [id, found] = [pragma("application_id"), Number(pragma("user_version"))];
  const isEmpty = database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() === undefined;
  if (isEmpty && id === 0 && found === 0) return 0;
  if (id !== applicationId || found < 1) throw toError("foreign", {});
  if (found > version) throw toError("newer", {});
  return found;
}

// SQLite's primary result codes. Extended codes contain them in their low byte.
const problemOf = new Map<number, DatabaseProblem>([
  [5, "locked"], // BUSY
  [6, "locked"], // LOCKED
  [10, "full"], // IOERR: such as a limit of this user
  [11, "damaged"], // CORRUPT
  [13, "full"], // FULL
  [26, "foreign"], // NOTADB: neither a database nor a part of one
]);

/** The primary result code of an error of SQLite; undefined for any other error. */
function resultCodeOf(error: unknown): number | undefined {
  const code: unknown = Reflect.get(Object(error), "errcode");
  return typeof code === "number" ? code & 0xff : undefined;
}
