import type { Database } from "./database.ts";

/** What the cloud remembers of itself. */
export class Settings {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Milliseconds by which the cloud's clock was moved; 0 before it ever was. */
  clockOffset(): number {
    const sql = "SELECT value FROM setting WHERE name = 'clock_offset_ms'";
    return this.#database.first<{ value: number }>(sql)?.value ?? 0;
  }

  saveClockOffset(value: number): void {
    this.#database.run(
      `INSERT INTO setting (name, value) VALUES ('clock_offset_ms', :value)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      { value },
    );
  }
}
