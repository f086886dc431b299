import type { ComposeHash } from "../../core/ids.ts";
import type { CvmSettings } from "./cvms.ts";
import type { Database } from "./database.ts";

export type PendingState = "live" | "superseded" | "confirmed";

/** An update that waits for its hash to be registered on chain. It is applied after the confirmation. */
export interface PendingUpdate {
  readonly id: number;
  readonly cvmId: number;
  /** Hash of the document that the change was based on. */
  readonly baseHash: ComposeHash;
  readonly composeHash: ComposeHash;
  readonly composeText: string;
  /** Null keeps the CVM's environment at the time of the confirmation. */
  readonly encryptedEnv: string | null;
  readonly settingsChange: Partial<CvmSettings>;
  /** Whether it may replace an update that waits for the finality of its registration. */
  readonly mayReplace: boolean;
  /** SHA-256 of the token that may commit the update. Null unless the update was prepared. */
  readonly tokenHash: string | null;
  /** Id of the operation that the confirmation started. */
  readonly correlationId: string | null;
  readonly state: PendingState;
  readonly createdAt: number;
  readonly expiresAt: number;
}

interface PendingRow extends Omit<PendingUpdate, "settingsChange" | "mayReplace"> {
  readonly settingsChange: string;
  readonly mayReplace: number;
}

const columns = `id, cvm_id AS "cvmId", base_hash AS "baseHash", compose_hash AS "composeHash",
  compose_text AS "composeText", encrypted_env AS "encryptedEnv", settings_change AS "settingsChange",
  may_replace AS "mayReplace", token_hash AS "tokenHash", correlation_id AS "correlationId", state, created_at AS "createdAt", expires_at AS "expiresAt"`;

export class PendingUpdates {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Makes this the CVM's live update and marks an older one as superseded. */
  replace(pending: Omit<PendingUpdate, "id" | "state" | "correlationId">): void {
    this.#database.transaction(() => {
      this.#database.run("UPDATE pending_update SET state = 'superseded' WHERE cvm_id = :cvmId AND state = 'live'", {
        cvmId: pending.cvmId,
      });
      this.#database.run(
        `INSERT INTO pending_update (cvm_id, base_hash, compose_hash, compose_text, encrypted_env, settings_change,
           may_replace, token_hash, state, created_at, expires_at)
         VALUES (:cvmId, :baseHash, :composeHash, :composeText, :encryptedEnv, :settingsChange, :mayReplace, :tokenHash, 'live',
           :createdAt, :expiresAt)`,
        {
          ...pending,
          settingsChange: JSON.stringify(pending.settingsChange),
          mayReplace: Number(pending.mayReplace),
        },
      );
    });
  }

  /** The newest one with this hash, in any state. */
  find(cvmId: number, composeHash: ComposeHash): PendingUpdate | undefined {
    return this.#first("cvm_id = :cvmId AND compose_hash = :composeHash", { cvmId, composeHash });
  }

  /** In any state. */
  findToken(tokenHash: string): PendingUpdate | undefined {
    return this.#first("token_hash = :tokenHash", { tokenHash });
  }

  /** @param correlationId id of the operation that applies it */
  confirm(id: number, correlationId: string): void {
    this.#database.run(
      "UPDATE pending_update SET state = 'confirmed', correlation_id = :correlationId WHERE id = :id",
      {
        id,
        correlationId,
      },
    );
  }

  /** Undoes a confirmation whose registration is gone: the update can be confirmed again, unless a newer one is live. */
  reopen(cvmId: number, correlationId: string): void {
    this.#database.run(
      `UPDATE pending_update SET correlation_id = NULL, state = iif(
         EXISTS (SELECT 1 FROM pending_update WHERE cvm_id = :cvmId AND state = 'live'), 'superseded', 'live')
       WHERE cvm_id = :cvmId AND correlation_id = :correlationId`,
      { cvmId, correlationId },
    );
  }

  #first(condition: string, parameters: Record<string, string | number>): PendingUpdate | undefined {
    const sql = `SELECT ${columns} FROM pending_update WHERE ${condition} ORDER BY id DESC LIMIT 1`;
    const row = this.#database.first<PendingRow>(sql, parameters);
    return row && { ...row, settingsChange: JSON.parse(row.settingsChange), mayReplace: row.mayReplace === 1 };
  }
}
