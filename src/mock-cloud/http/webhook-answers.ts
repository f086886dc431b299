import { toIsoTime } from "../clock.ts";
import type { Webhook, WebhookDelivery } from "../store/webhooks.ts";

/** A webhook without its secret. */
export function toWebhook({ id, url, events, isEnabled, createdAt, updatedAt }: Webhook) {
  return {
    id,
    url,
    events: [...events],
    enabled: isEnabled,
    created_at: toIsoTime(createdAt),
    updated_at: toIsoTime(updatedAt),
  };
}

export function toWebhookDelivery(delivery: WebhookDelivery) {
  const toTime = (time: number | null) => (time === null ? null : toIsoTime(time));
  return {
    event_id: delivery.eventId,
    event: delivery.event,
    ...(delivery.originalEventId !== null && { original_event_id: delivery.originalEventId }),
    status: delivery.state,
    attempts: delivery.attempts,
    response_status: delivery.responseStatus,
    response_body: null,
    error: delivery.error,
    created_at: toIsoTime(delivery.createdAt),
    attempted_at: toTime(delivery.attemptedAt),
    next_attempt_at: toTime(delivery.nextAttemptAt),
  };
}
