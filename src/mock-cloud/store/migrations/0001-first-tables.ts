/**
 * Hashes, app ids, device ids and addresses are lower-case hex with `0x`; ciphertexts are hex without it, as they
 * travel. Times are milliseconds since 1970. Keys and secrets of a KMS are never stored, nor are environments in clear.
 */
export const firstTables = `
CREATE TABLE workspace (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  slug TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_key (
  key_hash TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  username TEXT NOT NULL,
  email TEXT NOT NULL
) STRICT;

CREATE TABLE kms (
  id TEXT PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  url TEXT NOT NULL,
  version TEXT NOT NULL,
  chain_id INTEGER,
  contract_address TEXT,
  gateway_app_id TEXT,
  CHECK ((chain_id IS NULL) = (contract_address IS NULL))
) STRICT;

CREATE TABLE node (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  region TEXT NOT NULL,
  device_id TEXT NOT NULL,
  tcb_status TEXT NOT NULL,
  advisory_ids TEXT NOT NULL
) STRICT;

CREATE TABLE os_image (
  name TEXT PRIMARY KEY,
  version TEXT NOT NULL,
  os_image_hash TEXT NOT NULL,
  is_dev INTEGER NOT NULL
) STRICT;

-- A CVM that was planned and has a compose hash, but does not exist yet.
CREATE TABLE provision (
  id INTEGER PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  compose_hash TEXT NOT NULL,
  compose_text TEXT NOT NULL,
  app_id TEXT,
  name TEXT NOT NULL,
  kms_id TEXT NOT NULL REFERENCES kms (id),
  node_id INTEGER NOT NULL REFERENCES node (id),
  settings TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX provision_by_hash ON provision (workspace_id, compose_hash);

CREATE TABLE cvm (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  hashid TEXT NOT NULL UNIQUE,
  vm_uuid TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  app_id TEXT NOT NULL,
  instance_id TEXT NOT NULL,
  kms_id TEXT NOT NULL REFERENCES kms (id),
  node_id INTEGER NOT NULL REFERENCES node (id),
  status TEXT NOT NULL,
  boot_error TEXT,
  compose_text TEXT NOT NULL,
  compose_hash TEXT NOT NULL,
  encrypted_env TEXT,
  settings TEXT NOT NULL,
  deployer_address TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX cvm_by_app ON cvm (app_id);
CREATE INDEX cvm_by_name ON cvm (workspace_id, name);

-- What phase 1 asked for, kept until its hash is registered and confirmed. At most one per CVM is live.
CREATE TABLE pending_update (
  id INTEGER PRIMARY KEY,
  cvm_id INTEGER NOT NULL REFERENCES cvm (id),
  base_hash TEXT NOT NULL,
  compose_hash TEXT NOT NULL,
  compose_text TEXT NOT NULL,
  encrypted_env TEXT,
  settings_change TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('live', 'superseded', 'confirmed')),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_live_update ON pending_update (cvm_id) WHERE state = 'live';
CREATE INDEX pending_update_by_hash ON pending_update (cvm_id, compose_hash);

-- Every accepted change and its outcome: the CVM's queue of one, and its history of revisions.
CREATE TABLE operation (
  id INTEGER PRIMARY KEY,
  correlation_id TEXT NOT NULL UNIQUE,
  cvm_id INTEGER NOT NULL REFERENCES cvm (id),
  kind TEXT NOT NULL CHECK (kind IN ('create', 'update')),
  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
  compose_hash TEXT NOT NULL,
  compose_text TEXT NOT NULL,
  encrypted_env TEXT,
  settings TEXT NOT NULL,
  transaction_hash TEXT,
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  failure TEXT
) STRICT;
CREATE UNIQUE INDEX one_running_operation ON operation (cvm_id) WHERE state = 'running';
CREATE INDEX operation_by_cvm ON operation (cvm_id);
`;
