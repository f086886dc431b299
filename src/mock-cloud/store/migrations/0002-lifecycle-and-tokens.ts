/** A deleted CVM keeps its row, so its history stays readable and its ids are never given again. */
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
