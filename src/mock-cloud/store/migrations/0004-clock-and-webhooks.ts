/** What the cloud's clock is ahead by, and the webhooks with everything that was or is to be sent to them. */
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
  -- What happened once is told once, whoever reports it again; null for tests and resends.
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
