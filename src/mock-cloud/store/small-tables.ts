import type { AppId, ComposeHash } from "../../core/ids.ts";
import type { CvmSettings } from "./cvms.ts";
import type { Database } from "./database.ts";
import type { Principal } from "./workspaces.ts";

/** A planned CVM: it has a hash and a node, and waits for its app id. */
export interface Provision {
  readonly id: number;
  readonly workspaceId: string;
  readonly composeHash: ComposeHash;
  readonly composeText: string;
  /** Assigned by the cloud on an off-chain KMS. Null if the app's contract address will be the id. */
  readonly appId: AppId | null;
  /** The nonce that the app id was derived from, if the caller chose it. */
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

  /** Unexpired provisions with this hash, newest first. */
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

/** Settings of the cloud itself. */
export class Settings {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Offset of the cloud's clock in milliseconds. 0 if the clock was never moved. */
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

export interface SshKey {
  readonly id: string;
  readonly name: string;
  /** One line in the format of `authorized_keys`. */
  readonly publicKey: string;
  readonly keyType: string;
  readonly fingerprint: string;
  readonly createdAt: number;
}

/** Public keys that users put into their CVMs. Each user of a workspace has a separate list. */
export class SshKeys {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Oldest first. */
  ofUser(user: Principal): SshKey[] {
    return this.#database.all(
      `SELECT id, name, public_key AS "publicKey", key_type AS "keyType", fingerprint, created_at AS "createdAt"
       FROM ssh_key WHERE workspace_id = :workspaceId AND username = :username ORDER BY rowid`,
      owner(user),
    );
  }

  insert(user: Principal, key: SshKey): void {
    this.#database.run(
      `INSERT INTO ssh_key (id, workspace_id, username, name, public_key, key_type, fingerprint, created_at)
       VALUES (:id, :workspaceId, :username, :name, :publicKey, :keyType, :fingerprint, :createdAt)`,
      { ...key, ...owner(user) },
    );
  }

  delete(id: string): void {
    this.#database.run("DELETE FROM ssh_key WHERE id = :id", { id });
  }
}

function owner({ workspace, username }: Principal) {
  return { workspaceId: workspace.id, username };
}
