import type { AppId, ComposeHash } from "../../core/ids.ts";
import type { CvmSettings } from "./cvms.ts";
import type { Database } from "./database.ts";

/** A CVM that is planned: it has a hash and a place, and waits for its app to be known. */
export interface Provision {
  readonly id: number;
  readonly workspaceId: string;
  readonly composeHash: ComposeHash;
  readonly composeText: string;
  /** Assigned here on an off-chain KMS; null where the app's contract will be the id. */
  readonly appId: AppId | null;
  /** What the app id was derived from, where the caller chose it. */
  readonly appNonce: number | null;
  readonly name: string;
  readonly kmsId: string;
  readonly nodeId: number;
  readonly settings: CvmSettings;
  readonly expiresAt: number;
}

type ProvisionRow = Omit<Provision, "settings"> & { readonly settings: string };

export class Provisions {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  insert(provision: Omit<Provision, "id">): void {
    this.#database.run(
      `INSERT INTO provision (workspace_id, compose_hash, compose_text, app_id, app_nonce, name, kms_id, node_id,
         settings, expires_at)
       VALUES (:workspaceId, :composeHash, :composeText, :appId, :appNonce, :name, :kmsId, :nodeId,
         :settings, :expiresAt)`,
      { ...provision, settings: JSON.stringify(provision.settings) },
    );
  }

  /** Live ones with this hash, newest first. */
  find(workspaceId: string, composeHash: ComposeHash, now: number): Provision[] {
    return this.#database
      .all<ProvisionRow>(
        `SELECT id, workspace_id AS "workspaceId", compose_hash AS "composeHash", compose_text AS "composeText",
           app_id AS "appId", app_nonce AS "appNonce", name, kms_id AS "kmsId", node_id AS "nodeId", settings, expires_at AS "expiresAt"
         FROM provision
         WHERE workspace_id = :workspaceId AND compose_hash = :composeHash AND expires_at > :now ORDER BY id DESC`,
        { workspaceId, composeHash, now },
      )
      .map((row) => ({ ...row, settings: JSON.parse(row.settings) }));
  }
}
