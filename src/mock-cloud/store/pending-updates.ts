import type { ComposeHash } from "../../core/ids.ts";
import type { CvmSettings } from "./cvms.ts";
import type { Database } from "./database.ts";

export type PendingState = "live" | "superseded" | "confirmed";

/** An update whose hash must be registered on chain first: what will change once it is confirmed. */
export interface PendingUpdate {
  readonly id: number;
  readonly cvmId: number;
  /** Hash of the document the change was made to. */
  readonly baseHash: ComposeHash;
  readonly composeHash: ComposeHash;
  readonly composeText: string;
  /** Null keeps the environment that is in force at the time of the confirmation. */
  readonly encryptedEnv: string | null;
  readonly settingsChange: Partial<CvmSettings>;
  readonly state: PendingState;
  readonly createdAt: number;
  readonly expiresAt: number;
}

type PendingRow = Omit<PendingUpdate, "settingsChange"> & { readonly settingsChange: string };

const columns = `id, cvm_id AS "cvmId", base_hash AS "baseHash", compose_hash AS "composeHash",
  compose_text AS "composeText", encrypted_env AS "encryptedEnv", settings_change AS "settingsChange", state,
  created_at AS "createdAt", expires_at AS "expiresAt"`;

export class PendingUpdates {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Makes this the CVM's live update; an older one is superseded. */
  replace(pending: Omit<PendingUpdate, "id" | "state">): void {
    this.#database.transaction(() => {
      this.#database.run("UPDATE pending_update SET state = 'superseded' WHERE cvm_id = :cvmId AND state = 'live'", {
        cvmId: pending.cvmId,
      });
      this.#database.run(
        `INSERT INTO pending_update (cvm_id, base_hash, compose_hash, compose_text, encrypted_env, settings_change,
           state, created_at, expires_at)
         VALUES (:cvmId, :baseHash, :composeHash, :composeText, :encryptedEnv, :settingsChange, 'live', :createdAt,
           :expiresAt)`,
        { ...pending, settingsChange: JSON.stringify(pending.settingsChange) },
      );
    });
  }

  /** The newest one with this hash, in any state. */
  find(cvmId: number, composeHash: ComposeHash): PendingUpdate | undefined {
    const row = this.#database.first<PendingRow>(
      `SELECT ${columns} FROM pending_update WHERE cvm_id = :cvmId AND compose_hash = :composeHash
       ORDER BY id DESC LIMIT 1`,
      { cvmId, composeHash },
    );
    return row && { ...row, settingsChange: JSON.parse(row.settingsChange) };
  }

  confirm(id: number): void {
    this.#database.run("UPDATE pending_update SET state = 'confirmed' WHERE id = :id", { id });
  }
}
