import type { Database } from "./database.ts";

/** Logins that devices started and have not finished. */
export class DeviceLogins {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @param codeHash SHA-256 of the device code; the code itself is never stored */
  insert(codeHash: string, expiresAt: number): void {
    this.#database.run("INSERT INTO device_login (code_hash, expires_at) VALUES (:codeHash, :expiresAt)", {
      codeHash,
      expiresAt,
    });
  }

  expiryOf(codeHash: string): number | undefined {
    const row = this.#database.first<{ expiresAt: number }>(
      'SELECT expires_at AS "expiresAt" FROM device_login WHERE code_hash = :codeHash',
      { codeHash },
    );
    return row?.expiresAt;
  }

  delete(codeHash: string): void {
    this.#database.run("DELETE FROM device_login WHERE code_hash = :codeHash", { codeHash });
  }
}
