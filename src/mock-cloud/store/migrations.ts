/**
 * Hashes, app ids, device ids and addresses are lower-case hex with `0x`. Ciphertexts are hex without `0x`, as in
 * requests. Times are milliseconds since 1970. The database never holds KMS keys or secrets, or plain environments.
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

/** A deleted CVM keeps its row, so that its history stays readable and its ids are never reused. */
export const lifecycleAndTokens = `
ALTER TABLE cvm ADD COLUMN deleted_at INTEGER;

-- SHA-256 of the token that may commit a prepared update, and the operation its confirmation started.
ALTER TABLE pending_update ADD COLUMN token_hash TEXT;
ALTER TABLE pending_update ADD COLUMN correlation_id TEXT;
CREATE UNIQUE INDEX pending_update_by_token ON pending_update (token_hash) WHERE token_hash IS NOT NULL;

-- The kinds of operations are the program's to list: SQLite cannot change a CHECK without a new table.
CREATE TABLE operation_of_any_kind (
  id INTEGER PRIMARY KEY,
  correlation_id TEXT NOT NULL UNIQUE,
  cvm_id INTEGER NOT NULL REFERENCES cvm (id),
  kind TEXT NOT NULL,
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
INSERT INTO operation_of_any_kind
  SELECT id, correlation_id, cvm_id, kind, state, compose_hash, compose_text, encrypted_env, settings,
    transaction_hash, started_at, finished_at, failure
  FROM operation;
DROP TABLE operation;
ALTER TABLE operation_of_any_kind RENAME TO operation;
CREATE UNIQUE INDEX one_running_operation ON operation (cvm_id) WHERE state = 'running';
CREATE INDEX operation_by_cvm ON operation (cvm_id);

UPDATE cvm SET settings = json_set(settings, '$.gpus', json('null'));
UPDATE operation SET settings = json_set(settings, '$.gpus', json('null'));
UPDATE provision SET settings = json_set(settings, '$.gpus', json('null'));
`;

/** Nodes with limited capacity, CVMs that move between nodes, and several CVMs of one app. */
export const fleet = `
ALTER TABLE node ADD COLUMN vcpu INTEGER NOT NULL DEFAULT 4096;
ALTER TABLE node ADD COLUMN memory_mb INTEGER NOT NULL DEFAULT 16777216;
ALTER TABLE node ADD COLUMN cvm_slots INTEGER NOT NULL DEFAULT 4096;
-- The machine's id since it changed; null while it has the one it was set up with.
ALTER TABLE node ADD COLUMN drifted_device_id TEXT;

-- Where the scheduler wants the CVM at its next rollover; null where it is.
ALTER TABLE cvm ADD COLUMN next_node_id INTEGER REFERENCES node (id);
-- The nonce of an app id that the caller chose.
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

/** The offset of the cloud's clock, and the webhooks with all sent and pending deliveries. */
export const clockAndWebhooks = `
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT;

-- The secret is here in clear: every delivery is signed with it.
CREATE TABLE webhook (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  url TEXT NOT NULL,
  events TEXT NOT NULL,
  is_enabled INTEGER NOT NULL,
  secret TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_by_workspace ON webhook (workspace_id);

-- One event on its way to one webhook, and what its last attempt met with.
CREATE TABLE webhook_delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_id TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
  event_id TEXT NOT NULL,
  event TEXT NOT NULL,
  -- The cause of an event. A second event with the same cause is not stored. Null for tests and resends.
  cause TEXT,
  original_event_id TEXT,
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
  attempts INTEGER NOT NULL,
  next_attempt_at INTEGER,
  response_status INTEGER,
  response_body TEXT,
  error TEXT,
  created_at INTEGER NOT NULL,
  attempted_at INTEGER,
  UNIQUE (webhook_id, event_id),
  UNIQUE (webhook_id, cause)
) STRICT;
CREATE INDEX pending_webhook_delivery ON webhook_delivery (id) WHERE state = 'pending';
`;

export const slowRollovers = `
-- Milliseconds that a fault made the operation take longer.
ALTER TABLE operation ADD COLUMN delay_ms INTEGER NOT NULL DEFAULT 0;
`;

/** For reads of one operation of a CVM with a long history, and for the webhooks, which every event reads. */
export const indexes = `
CREATE INDEX operation_by_proof ON operation (cvm_id, compose_hash, transaction_hash);
CREATE INDEX operation_by_end ON operation (cvm_id, finished_at);
-- In the order in which the workspace's webhooks are listed.
DROP INDEX webhook_by_workspace;
CREATE INDEX webhook_by_age ON webhook (workspace_id, created_at, id);
`;

export const finality = `
-- The block tag that must reach the registration before the operation begins; null if it waits for none, or no more.
ALTER TABLE operation ADD COLUMN awaited_tag TEXT CHECK (awaited_tag IN ('safe', 'finalized'));
-- Whether the update may replace one that waits for its registration's finality.
ALTER TABLE pending_update ADD COLUMN may_replace INTEGER NOT NULL DEFAULT 0;
`;

/** In the order of application. A released migration never changes. Position + 1 is the schema's version. */
export const migrations: readonly string[] = [
  firstTables,
  lifecycleAndTokens,
  fleet,
  clockAndWebhooks,
  slowRollovers,
  indexes,
  finality,
];
