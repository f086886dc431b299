import { resolve } from "node:path";
import type { SQLInputValue, StatementSync } from "node:sqlite";
import { UnusableFileError } from "../../errors/index.ts";
import { prepareOwnDatabase, restrictDatabase } from "../../files/own-file.ts";
import { DatabaseSync } from "../../files/sqlite.ts";
import { migrations } from "./migrations.ts";

export type SqlValue = SQLInputValue;

/** SQLite's table of the highest id per table, for tables that never reuse an id. */
const counters = "sqlite_sequence";

/** The state file cannot be written now. The transaction was rolled back; background work waits and tries again. */
export class StoreFullError extends Error {
  override readonly name = "StoreFullError";
  constructor(cause: unknown) {
    super(
      "The disk with the mock cloud's state is full or cannot be written. Nothing was changed. Free some space, then try again.",
      { cause },
    );
  }
}

/** SQLite's result codes IOERR and FULL. */
const unwritable: ReadonlySet<number> = new Set([10, 13]);

type Row = Record<string, SqlValue>;

/** Every row of every table. */
export type StoreContent = ReadonlyMap<string, readonly Row[]>;

/** An SQLite database, migrated to the newest schema. All calls are synchronous, so transactions never interleave. */
export class Database {
  readonly #sqlite: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;
  #afterCommit: (() => void)[] = [];

  /**
   * @param path a file, or `:memory:`
   * @throws UnusableFileError if the file is a link or a device, or another user could have written it
   */
  constructor(path: string) {
    const isKept = path !== ":memory:";
    // The file holds webhook secrets and token hashes. A project may keep it among its sources.
    if (isKept) {
      prepareOwnDatabase(path, { mayBeTracked: true });
      restrictDatabase(path);
    }
    this.#sqlite = new DatabaseSync(isKept ? resolve(path) : path); // because a relative path may look like a URI
    try {
      // WAL survives a crash of the process at any moment. NORMAL may lose the last commits only in a power failure.
      this.#guard(() => {
        this.#sqlite.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
        this.#sqlite.exec("PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF;");
      });
      this.#migrate();
    } catch (cause) {
      this.#sqlite.close();
      throw cause instanceof StoreFullError
        ? new UnusableFileError(path, "the disk is full or cannot be written", { cause })
        : cause;
    }
  }

  /** Returns all rows. The caller must name the right row type; the STRICT tables enforce the column types. */
  all<Row>(sql: string, parameters: Record<string, SqlValue> = {}): Row[] {
    return this.#guard(() => this.#prepare(sql).all(parameters) as Row[]); // STRICT tables: see above
  }

  first<Row>(sql: string, parameters: Record<string, SqlValue> = {}): Row | undefined {
    return this.#guard(() => this.#prepare(sql).get(parameters) as Row | undefined); // STRICT tables: see above
  }

  /** Runs a statement and returns the id of the row it inserted, if it inserted one. */
  run(sql: string, parameters: Record<string, SqlValue> = {}): number {
    return this.#guard(() => Number(this.#prepare(sql).run(parameters).lastInsertRowid));
  }

  /** Runs all of the work or none of it. A nested call joins the outer transaction. */
  transaction<Result>(work: () => Result): Result {
    if (this.#depth > 0) return work();
    const result = this.#commit(work);
    const waiting = this.#afterCommit;
    this.#afterCommit = [];
    for (const notify of waiting) notify();
    return result;
  }

  /**
   * Calls `notify` after the outermost transaction commits, or at once outside one. After a rollback it is not called.
   */
  afterCommit(notify: () => void): void {
    if (this.#depth > 0) this.#afterCommit.push(notify);
    else notify();
  }

  /** Copies all rows of all tables. */
  dump(): StoreContent {
    const tables = this.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'");
    // In rowid order: a query without ORDER BY returns rows in the order in which `load` inserts them.
    return new Map(tables.map(({ name }) => [name, this.all<Row>(`SELECT * FROM ${name} ORDER BY rowid`)]));
  }

  /** Replaces all rows with those that `dump` copied, including the id counters. */
  load(content: StoreContent): void {
    this.transaction(() => {
      this.#sqlite.exec("PRAGMA defer_foreign_keys = ON");
      for (const table of content.keys()) this.#sqlite.exec(`DELETE FROM ${table}`);
      // Inserting rows changes the counters, so the counter table is restored last.
      const byOrder = [...content].sort(([one], [other]) => Number(one === counters) - Number(other === counters));
      for (const [table, rows] of byOrder) {
        if (table === counters) this.#sqlite.exec(`DELETE FROM ${counters}`);
        for (const row of rows) {
          const names = Object.keys(row);
          const values = names.map((name) => `:${name}`);
          this.run(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${values.join(", ")})`, { ...row });
        }
      }
    });
  }

  close(): void {
    this.#sqlite.close();
  }

  #commit<Result>(work: () => Result): Result {
    this.#guard(() => this.#sqlite.exec("BEGIN IMMEDIATE"));
    this.#depth += 1;
    try {
      const result = work();
      this.#guard(() => this.#sqlite.exec("COMMIT"));
      return result;
    } catch (error) {
      // After a failed write, SQLite itself may have ended the transaction.
      if (this.#sqlite.isTransaction) this.#sqlite.exec("ROLLBACK");
      this.#afterCommit = [];
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  /** @throws StoreFullError */
  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      const code: unknown = Reflect.get(Object(error), "errcode");
      throw typeof code === "number" && unwritable.has(code & 0xff) ? new StoreFullError(error) : error;
    }
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#sqlite.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #migrate(): void {
    const version = this.first<{ user_version: number }>("PRAGMA user_version")?.user_version ?? 0;
    if (version > migrations.length) {
      throw new Error(
        `The state file has schema ${version}; this version of the mock cloud knows ${migrations.length}.`,
      );
    }
    for (const [index, migration] of migrations.entries()) {
      if (index < version) continue;
      this.transaction(() => this.#sqlite.exec(`${migration}; PRAGMA user_version = ${index + 1}`));
    }
  }
}
