import type { Database } from "./database.ts";
import type { Principal } from "./workspaces.ts";

export interface SshKey {
  readonly id: string;
  readonly name: string;
  /** One line as in `authorized_keys`. */
  readonly publicKey: string;
  readonly keyType: string;
  readonly fingerprint: string;
  readonly createdAt: number;
}

/** Keys that users put into their CVMs. Each user of a workspace has their own. */
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
