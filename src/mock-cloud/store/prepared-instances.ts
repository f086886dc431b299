import type { AppId } from "../../core/ids.ts";
import type { Workload } from "./cvms.ts";
import type { Database } from "./database.ts";

/** A further CVM of an app that waits for its commit token. */
export interface PreparedInstance extends Workload {
  readonly id: number;
  readonly workspaceId: string;
  readonly appId: AppId;
  /** What it was made after. */
  readonly sourceCvmId: number;
  readonly nodeId: number;
  readonly name: string;
  readonly expiresAt: number;
  /** The CVM it became; null until then. */
  readonly cvmId: number | null;
}

type PreparedRow = Omit<PreparedInstance, "settings"> & { readonly settings: string };

export class PreparedInstances {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @param tokenHash SHA-256 of the token; the token itself is never stored */
  insert(tokenHash: string, prepared: Omit<PreparedInstance, "id" | "cvmId">): void {
    this.#database.run(
      `INSERT INTO prepared_instance (token_hash, workspace_id, app_id, source_cvm_id, node_id, name, compose_hash,
         compose_text, encrypted_env, settings, expires_at)
       VALUES (:tokenHash, :workspaceId, :appId, :sourceCvmId, :nodeId, :name, :composeHash, :composeText,
         :encryptedEnv, :settings, :expiresAt)`,
      { ...prepared, tokenHash, settings: JSON.stringify(prepared.settings) },
    );
  }

  find(tokenHash: string): PreparedInstance | undefined {
    const row = this.#database.first<PreparedRow>(
      `SELECT id, workspace_id AS "workspaceId", app_id AS "appId", source_cvm_id AS "sourceCvmId",
         node_id AS "nodeId", name, compose_hash AS "composeHash", compose_text AS "composeText",
         encrypted_env AS "encryptedEnv", settings, expires_at AS "expiresAt", cvm_id AS "cvmId"
       FROM prepared_instance WHERE token_hash = :tokenHash`,
      { tokenHash },
    );
    return row && { ...row, settings: JSON.parse(row.settings) };
  }

  become(id: number, cvmId: number): void {
    this.#database.run("UPDATE prepared_instance SET cvm_id = :cvmId WHERE id = :id", { id, cvmId });
  }
}
