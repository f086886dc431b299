import type { AppId, ComposeHash } from "../../core/ids.ts";
import type { Workload } from "./cvms.ts";
import type { Database } from "./database.ts";

/** A new CVM of an existing app that waits for its commit token. */
export interface PreparedInstance extends Workload {
  readonly id: number;
  readonly workspaceId: string;
  readonly appId: AppId;
  /** The CVM that it was copied from. */
  readonly sourceCvmId: number;
  readonly nodeId: number;
  readonly name: string;
  readonly expiresAt: number;
  /** Id of the created CVM. Null until then. */
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
    return this.#first("token_hash = :tokenHash", { tokenHash });
  }

  /** The newest prepared CVM that was not created yet. */
  newestFrom(sourceCvmId: number, composeHash: ComposeHash): PreparedInstance | undefined {
    return this.#first("source_cvm_id = :sourceCvmId AND compose_hash = :composeHash AND cvm_id IS NULL", {
      sourceCvmId,
      composeHash,
    });
  }

  become(id: number, cvmId: number): void {
    this.#database.run("UPDATE prepared_instance SET cvm_id = :cvmId WHERE id = :id", { id, cvmId });
  }

  #first(condition: string, parameters: Record<string, string | number>): PreparedInstance | undefined {
    const row = this.#database.first<PreparedRow>(
      `SELECT id, workspace_id AS "workspaceId", app_id AS "appId", source_cvm_id AS "sourceCvmId",
         node_id AS "nodeId", name, compose_hash AS "composeHash", compose_text AS "composeText",
         encrypted_env AS "encryptedEnv", settings, expires_at AS "expiresAt", cvm_id AS "cvmId"
       FROM prepared_instance WHERE ${condition} ORDER BY id DESC LIMIT 1`,
      parameters,
    );
    return row && { ...row, settings: JSON.parse(row.settings) };
  }
}
