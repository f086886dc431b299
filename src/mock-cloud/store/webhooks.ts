import type { WebhookEvent } from "../../cloud/protocol.ts";
import type { Database } from "./database.ts";

/** A URL that receives a workspace's events. */
export interface Webhook {
  readonly id: string;
  readonly workspaceId: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly isEnabled: boolean;
  readonly secret: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** The delivery of one event to one webhook, with the result of its last attempt. */
export interface WebhookDelivery {
  readonly id: number;
  readonly webhookId: string;
  readonly eventId: string;
  readonly event: WebhookEvent;
  readonly originalEventId: string | null;
  /** Id of the cause. A second delivery with the same cause is not stored. Null is always stored. */
  readonly cause: string | null;
  /** The message body, byte for byte as it is signed and sent. */
  readonly body: string;
  readonly state: "pending" | "delivered" | "failed";
  readonly attempts: number;
  readonly nextAttemptAt: number | null;
  readonly responseStatus: number | null;
  readonly error: string | null;
  readonly createdAt: number;
  readonly attemptedAt: number | null;
}

export type NewDelivery = Pick<
  WebhookDelivery,
  "webhookId" | "eventId" | "event" | "originalEventId" | "cause" | "body" | "createdAt"
>;

export type AttemptRecord = Pick<
  WebhookDelivery,
  "state" | "attempts" | "nextAttemptAt" | "responseStatus" | "error" | "attemptedAt"
>;

interface WebhookRow extends Omit<Webhook, "events" | "isEnabled"> {
  readonly events: string;
  readonly isEnabled: number;
}

/** Number of deliveries that are kept per webhook. */
export const deliveryLogLength = 50;

const webhookColumns = `id, workspace_id AS "workspaceId", url, events, is_enabled AS "isEnabled", secret,
  created_at AS "createdAt", updated_at AS "updatedAt"`;
const deliveryColumns = `id, webhook_id AS "webhookId", event_id AS "eventId", event,
  original_event_id AS "originalEventId", cause, body, state, attempts, next_attempt_at AS "nextAttemptAt",
  response_status AS "responseStatus", error, created_at AS "createdAt",
  attempted_at AS "attemptedAt"`;

export class Webhooks {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  save(webhook: Webhook): void {
    this.#database.run(
      `INSERT INTO webhook (id, workspace_id, url, events, is_enabled, secret, created_at, updated_at)
       VALUES (:id, :workspaceId, :url, :events, :isEnabled, :secret, :createdAt, :updatedAt)
       ON CONFLICT (id) DO UPDATE SET url = excluded.url, events = excluded.events, is_enabled = excluded.is_enabled,
         secret = excluded.secret, updated_at = excluded.updated_at`,
      { ...webhook, events: JSON.stringify(webhook.events), isEnabled: Number(webhook.isEnabled) },
    );
  }

  /** Also deletes the webhook's deliveries. */
  delete(id: string): void {
    this.#database.run("DELETE FROM webhook WHERE id = :id", { id });
  }

  find(id: string): Webhook | undefined {
    return this.#where("id = :id", { id })[0];
  }

  inWorkspace(workspaceId: string): Webhook[] {
    return this.#where("workspace_id = :workspaceId", { workspaceId });
  }

  /** Stores a delivery that is due at once, and deletes the oldest finished ones. Undefined if it was stored before. */
  insertDelivery(delivery: NewDelivery): WebhookDelivery | undefined {
    const { webhookId, eventId } = delivery;
    return this.#database.transaction(() => {
      const isKnown =
        this.#database.first("SELECT 1 FROM webhook_delivery WHERE webhook_id = :webhookId AND cause = :cause", {
          webhookId,
          cause: delivery.cause,
        }) !== undefined;
      if (isKnown) return undefined;
      this.#database.run(
        `INSERT INTO webhook_delivery (webhook_id, event_id, event, cause, original_event_id, body, state, attempts,
           next_attempt_at, created_at)
         VALUES (:webhookId, :eventId, :event, :cause, :originalEventId, :body, 'pending', 0, :createdAt, :createdAt)`,
        { ...delivery },
      );
      this.#database.run(
        `DELETE FROM webhook_delivery WHERE webhook_id = :webhookId AND state <> 'pending' AND id NOT IN (
           SELECT id FROM webhook_delivery WHERE webhook_id = :webhookId ORDER BY id DESC LIMIT ${deliveryLogLength})`,
        { webhookId },
      );
      return this.findDelivery(webhookId, eventId);
    });
  }

  findDelivery(webhookId: string, eventId: string): WebhookDelivery | undefined {
    return this.#database.first(
      `SELECT ${deliveryColumns} FROM webhook_delivery WHERE webhook_id = :webhookId AND event_id = :eventId`,
      { webhookId, eventId },
    );
  }

  /** Newest first. */
  deliveriesOf(webhookId: string): WebhookDelivery[] {
    return this.#database.all(
      `SELECT ${deliveryColumns} FROM webhook_delivery WHERE webhook_id = :webhookId
       ORDER BY id DESC LIMIT ${deliveryLogLength}`,
      { webhookId },
    );
  }

  pendingDeliveries(): WebhookDelivery[] {
    return this.#database.all(`SELECT ${deliveryColumns} FROM webhook_delivery WHERE state = 'pending' ORDER BY id`);
  }

  recordAttempt(id: number, attempt: AttemptRecord): void {
    this.#database.run(
      `UPDATE webhook_delivery SET state = :state, attempts = :attempts, next_attempt_at = :nextAttemptAt,
         response_status = :responseStatus, error = :error, attempted_at = :attemptedAt
       WHERE id = :id`,
      { id, ...attempt },
    );
  }

  #where(condition: string, parameters: Record<string, string>): Webhook[] {
    return this.#database
      .all<WebhookRow>(`SELECT ${webhookColumns} FROM webhook WHERE ${condition} ORDER BY created_at, id`, parameters)
      .map((row) => ({ ...row, events: JSON.parse(row.events), isEnabled: row.isEnabled === 1 }));
  }
}
