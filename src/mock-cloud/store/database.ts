import { resolve } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { prepareOwnDatabase, restrictDatabase } from "../../files/own-file.ts";
import { migrations } from "./migrations.ts";

export type SqlValue = SQLInputValue;

/** Where SQLite keeps the highest id of each table that never gives one twice. */
const counters = "sqlite_sequence";

type Row = Record<string, SqlValue>;

/** Every row of every table. */
export type StoreContent = ReadonlyMap<string, readonly Row[]>;

/** SQLite, opened and brought to the newest schema. Everything is synchronous, so a transaction never interleaves. */
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
    // Webhook secrets and hashed tokens are in it. A project may keep the state of a world among its sources.
    if (isKept) {
      prepareOwnDatabase(path, { mayBeTracked: true });
      restrictDatabase(path);
    }
    this.#sqlite = new DatabaseSync(isKept ? resolve(path) : path); // a relative path may look like a URI
    // WAL survives the death of the process at any moment; NORMAL may lose the last commits only with the power.
    this.#sqlite.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    this.#sqlite.exec("PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF;");
    this.#migrate();
  }

  /** All rows. Row types are the caller's promise: the STRICT tables hold what the migrations say. */
  all<Row>(sql: string, parameters: Record<string, SqlValue> = {}): Row[] {
    return this.#prepare(sql).all(parameters) as Row[]; // STRICT tables: see above
  }

  first<Row>(sql: string, parameters: Record<string, SqlValue> = {}): Row | undefined {
    return this.#prepare(sql).get(parameters) as Row | undefined; // STRICT tables: see above
  }

  /** Runs a statement and returns the id of the row it inserted, if it inserted one. */
  run(sql: string, parameters: Record<string, SqlValue> = {}): number {
    return Number(this.#prepare(sql).run(parameters).lastInsertRowid);
  }

  /** All or nothing. A call inside another one joins it. */
  transaction<Result>(work: () => Result): Result {
    if (this.#depth > 0) return work();
    const result = this.#commit(work);
    const waiting = this.#afterCommit;
    this.#afterCommit = [];
    for (const notify of waiting) notify();
    return result;
  }

  /** Calls once what is being written stands: at once outside a transaction, never after one that was rolled back. */
  afterCommit(notify: () => void): void {
    if (this.#depth > 0) this.#afterCommit.push(notify);
    else notify();
  }

  /** A copy of everything. */
  dump(): StoreContent {
    const tables = this.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'");
    // Rows come back in their order: what no statement sorts is read in it.
    return new Map(tables.map(({ name }) => [name, this.all<Row>(`SELECT * FROM ${name} ORDER BY rowid`)]));
  }

  /** Puts back what `dump` copied, in place of everything, the counters of ids included. */
  load(content: StoreContent): void {
    this.transaction(() => {
      this.#sqlite.exec("PRAGMA defer_foreign_keys = ON");
      for (const table of content.keys()) this.#sqlite.exec(`DELETE FROM ${table}`);
      // Inserting moves the counters, so their own table comes last.
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
    this.#sqlite.exec("BEGIN IMMEDIATE");
    this.#depth += 1;
    try {
      const result = work();
      this.#sqlite.exec("COMMIT");
      return result;
    } catch (error) {
      this.#sqlite.exec("ROLLBACK");
      this.#afterCommit = [];
      throw error;
    } finally {
      this.#depth -= 1;
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
