import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  createdWebhookSchema,
  webhookChangeSchema,
  webhookDeliveryListSchema,
  webhookDeliverySchema,
  webhookListSchema,
  webhookRequestSchema,
  webhookSchema,
  webhookSecretSchema,
} from "../../cloud/protocol.ts";
import { toIsoTime } from "../clock.ts";
import { definedOnly } from "../http/requests.ts";
import { refusals } from "../http/schemas.ts";
import type { Webhook, WebhookDelivery, Webhooks } from "../store/webhooks.ts";
import type { WebhookService } from "../webhooks/webhook-service.ts";

export interface WebhookRoutesOptions {
  readonly webhooks: Webhooks;
  readonly webhookService: WebhookService;
}

const params = z.object({ webhook_id: z.string() });
const deliveryParams = params.extend({ event_id: z.string() });

export const webhookRoutes: FastifyPluginAsyncZod<WebhookRoutesOptions> = async (app, options) => {
  const { webhooks, webhookService } = options;
  const tags = ["webhooks"];

  app.get(
    "/workspace/webhooks",
    { schema: { tags, summary: "The workspace's webhooks", response: { ...refusals, 200: webhookListSchema } } },
    async ({ principal }) => {
      const items = webhooks.inWorkspace(principal.workspace.id).map(toWebhook);
      return { items, total: items.length };
    },
  );

  app.post(
    "/workspace/webhooks",
    {
      schema: {
        tags,
        summary: "Add a webhook; the answer shows its secret",
        body: webhookRequestSchema,
        response: { ...refusals, 201: createdWebhookSchema },
      },
    },
    async ({ body, principal }, reply) => {
      const { enabled, ...rest } = body;
      const webhook = webhookService.create(principal.workspace.id, { ...rest, isEnabled: enabled });
      return reply.code(201).send({ ...toWebhook(webhook), secret: webhook.secret });
    },
  );

  app.put(
    "/workspace/webhooks/:webhook_id",
    {
      schema: {
        tags,
        summary: "Change a webhook; its secret and omitted fields stay the same",
        params,
        body: webhookChangeSchema,
        response: { ...refusals, 200: webhookSchema },
      },
    },
    async ({ params: { webhook_id }, body, principal }) => {
      const { url, events, enabled: isEnabled } = body;
      const change = definedOnly({ url, events, isEnabled });
      return toWebhook(webhookService.update(principal.workspace.id, webhook_id, change));
    },
  );

  app.delete(
    "/workspace/webhooks/:webhook_id",
    { schema: { tags, summary: "Remove a webhook", params, response: { ...refusals, 204: z.null() } } },
    async ({ params: { webhook_id }, principal }, reply) => {
      webhookService.delete(principal.workspace.id, webhook_id);
      return reply.code(204).send(null);
    },
  );

  app.post(
    "/workspace/webhooks/:webhook_id/test",
    {
      schema: { tags, summary: "Send an example event", params, response: { ...refusals, 202: webhookDeliverySchema } },
    },
    async ({ params: { webhook_id }, principal }, reply) =>
      reply.code(202).send(toWebhookDelivery(webhookService.test(principal.workspace.id, webhook_id))),
  );

  app.get(
    "/workspace/webhooks/:webhook_id/deliveries",
    {
      schema: {
        tags,
        summary: "The last 50 deliveries, the newest first",
        params,
        response: { ...refusals, 200: webhookDeliveryListSchema },
      },
    },
    async ({ params: { webhook_id }, principal }) => {
      const { id } = webhookService.find(principal.workspace.id, webhook_id);
      const items = webhooks.deliveriesOf(id).map(toWebhookDelivery);
      return { items, total: items.length };
    },
  );

  app.post(
    "/workspace/webhooks/:webhook_id/deliveries/:event_id/resend",
    {
      schema: {
        tags,
        summary: "Send an event again, under a new id",
        params: deliveryParams,
        response: { ...refusals, 202: webhookDeliverySchema },
      },
    },
    async ({ params: { webhook_id, event_id }, principal }, reply) =>
      reply.code(202).send(toWebhookDelivery(webhookService.resend(principal.workspace.id, webhook_id, event_id))),
  );

  app.post(
    "/workspace/webhooks/:webhook_id/reveal-secret",
    { schema: { tags, summary: "Show the secret", params, response: { ...refusals, 200: webhookSecretSchema } } },
    async ({ params: { webhook_id }, principal }) => {
      const { id, secret } = webhookService.find(principal.workspace.id, webhook_id);
      return { id, secret };
    },
  );

  app.post(
    "/workspace/webhooks/:webhook_id/rotate-secret",
    { schema: { tags, summary: "Make a new secret", params, response: { ...refusals, 200: webhookSecretSchema } } },
    async ({ params: { webhook_id }, principal }) => {
      const { id, secret } = webhookService.rotateSecret(principal.workspace.id, webhook_id);
      return { id, secret };
    },
  );
};

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
