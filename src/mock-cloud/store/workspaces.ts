import type { Database } from "./database.ts";

export interface Workspace {
  readonly id: string;
  readonly name: string;
  readonly slug: string;
}

/** The owner of an API key. */
export interface Principal {
  readonly workspace: Workspace;
  readonly username: string;
  readonly email: string;
}

export class Workspaces {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  save(workspace: Workspace, createdAt: number): void {
    this.#database.run(
      `INSERT INTO workspace (id, name, slug, created_at) VALUES (:id, :name, :slug, :createdAt)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, slug = excluded.slug`,
      { ...workspace, createdAt },
    );
  }

  /** @param keyHash SHA-256 of the key; the key itself is never stored */
  saveApiKey(keyHash: string, workspaceId: string, username: string, email: string): void {
    this.#database.run(
      `INSERT INTO api_key (key_hash, workspace_id, username, email) VALUES (:keyHash, :workspaceId, :username, :email)
       ON CONFLICT (key_hash) DO UPDATE
       SET workspace_id = excluded.workspace_id, username = excluded.username, email = excluded.email`,
      { keyHash, workspaceId, username, email },
    );
  }

  findPrincipal(keyHash: string): Principal | undefined {
    const row = this.#database.first<Workspace & { username: string; email: string }>(
      `SELECT workspace.id, name, slug, username, email
       FROM api_key JOIN workspace ON workspace.id = api_key.workspace_id WHERE key_hash = :keyHash`,
      { keyHash },
    );
    if (!row) return undefined;
    const { username, email, ...workspace } = row;
    return { workspace, username, email };
  }

  createdAt(id: string): number {
    const row = this.#database.first<{ createdAt: number }>(
      'SELECT created_at AS "createdAt" FROM workspace WHERE id = :id',
      { id },
    );
    if (!row) throw new Error(`Workspace ${id} is gone.`);
    return row.createdAt;
  }

  /** The owner of the oldest API key. Undefined if there is no key. */
  firstPrincipal(): Principal | undefined {
    const row = this.#database.first<{ keyHash: string }>('SELECT key_hash AS "keyHash" FROM api_key ORDER BY rowid');
    return row && this.findPrincipal(row.keyHash);
  }

  find(id: string): Workspace | undefined {
    return this.#database.first("SELECT id, name, slug FROM workspace WHERE id = :id", { id });
  }

  /** The alphabetically first user name of its API keys. */
  firstUsername(workspaceId: string): string | undefined {
    const sql = "SELECT min(username) AS username FROM api_key WHERE workspace_id = :workspaceId";
    return this.#database.first<{ username: string | null }>(sql, { workspaceId })?.username ?? undefined;
  }
}
