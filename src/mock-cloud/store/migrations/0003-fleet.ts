/** Several nodes with room of their own, CVMs that move between them, CVMs of one app beside each other. */
export const fleet = `
ALTER TABLE node ADD COLUMN vcpu INTEGER NOT NULL DEFAULT 4096;
ALTER TABLE node ADD COLUMN memory_mb INTEGER NOT NULL DEFAULT 16777216;
ALTER TABLE node ADD COLUMN cvm_slots INTEGER NOT NULL DEFAULT 4096;
-- The machine's id since it changed; null while it has the one it was set up with.
ALTER TABLE node ADD COLUMN drifted_device_id TEXT;

-- Where the scheduler wants the CVM at its next rollover; null where it is.
ALTER TABLE cvm ADD COLUMN next_node_id INTEGER REFERENCES node (id);
-- What an app id of the caller's choice was derived from.
ALTER TABLE provision ADD COLUMN app_nonce INTEGER;
ALTER TABLE cvm ADD COLUMN app_nonce INTEGER;

-- Where the operation boots the CVM.
ALTER TABLE operation ADD COLUMN node_id INTEGER REFERENCES node (id);
UPDATE operation SET node_id = (SELECT node_id FROM cvm WHERE cvm.id = operation.cvm_id);

-- A further CVM of an app, prepared and waiting for its token. At the end it says which CVM it became.
CREATE TABLE prepared_instance (
  id INTEGER PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  app_id TEXT NOT NULL,
  source_cvm_id INTEGER NOT NULL REFERENCES cvm (id),
  node_id INTEGER NOT NULL REFERENCES node (id),
  name TEXT NOT NULL,
  compose_hash TEXT NOT NULL,
  compose_text TEXT NOT NULL,
  encrypted_env TEXT,
  settings TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  cvm_id INTEGER REFERENCES cvm (id)
) STRICT;

CREATE TABLE ssh_key (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  username TEXT NOT NULL,
  name TEXT NOT NULL,
  public_key TEXT NOT NULL,
  key_type TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (workspace_id, username, fingerprint)
) STRICT;

-- A login that a device started; gone once its token was fetched.
CREATE TABLE device_login (
  code_hash TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT;
`;
