import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { WebhookEvent } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { type Clock, toIsoTime } from "../clock.ts";
import { InvalidRequestError, webhookNotFound } from "../errors.ts";
import type { EventListener, MockCloudEvent, OperationFinished, UpdatePrepared } from "../events.ts";
import type { Faults } from "../faults/faults.ts";
import type { Cvm } from "../store/cvms.ts";
import { StoreFullError } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import type { Webhook, WebhookDelivery } from "../store/webhooks.ts";
import type { Workspace } from "../store/workspaces.ts";
import { postEvent } from "./post-event.ts";
import { isForbiddenHost } from "./target-address.ts";

export interface WebhookServiceDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly emit: EventListener;
  readonly faults: Faults;
  /** Time limit for a target's answer, in real time. */
  readonly timeoutMs: number;
  /** Whether webhooks may call private and link-local addresses. */
  readonly isPrivateAllowed: boolean;
}

export type WebhookChange = Pick<Webhook, "url" | "events" | "isEnabled">;

const minute = 60_000;
/**
 * Delays between a failed attempt and the next one. If the attempt after the last delay fails, the delivery has failed.
 */
/** While the state file cannot be written. */
const fullDiskPauseMs = 1_000;
const retryDelaysMs = [minute, 10 * minute, 60 * minute];

/** Sends events to webhooks, independently of the requests that caused them. Pending deliveries survive a restart. */
export class WebhookService {
  readonly #dependencies: WebhookServiceDependencies;
  readonly #deliveries = new Set<Promise<void>>();
  readonly #attempts = new Set<Promise<unknown>>();
  #stopping = new AbortController();

  constructor(dependencies: WebhookServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /** Continues the deliveries that an earlier process or a pause left unfinished. */
  resume(): void {
    for (const delivery of this.#dependencies.store.webhooks.pendingDeliveries()) this.#start(delivery);
  }

  /** Stops all sending. The remaining deliveries continue at the next start. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#deliveries);
  }

  /** Stops all sending until `resume`. */
  async pause(): Promise<void> {
    await this.close();
    this.#stopping = new AbortController();
  }

  /** Resolves when no request to a webhook is running. Retries that are not due yet do not count. */
  async whenDelivered(): Promise<void> {
    do {
      await nextTurn();
      await Promise.allSettled(this.#attempts);
    } while (this.#attempts.size > 0);
  }

  /**
   * Sends an event to every webhook that subscribes to it. Inside a transaction it stores the deliveries and sends
   * later.
   */
  announce(occurred: MockCloudEvent): void {
    const { store } = this.#dependencies;
    const occurrence = findOccurrence(store, occurred);
    if (!occurrence) return;
    const { event, workspaceId, data, cause } = occurrence;
    const wanting = store.webhooks
      .inWorkspace(workspaceId)
      .filter(({ isEnabled, events }) => isEnabled && events.includes(event));
    // All webhooks get the same event id for one occurrence.
    const eventId = createEventId();
    for (const webhook of wanting) this.#send({ webhook, event, eventId, data, cause });
  }

  /** @throws InvalidRequestError */
  create(workspaceId: string, change: WebhookChange): Webhook {
    this.#checkUrl(change.url);
    const { store, clock } = this.#dependencies;
    const now = clock.now();
    const id = `wh_${randomBytes(8).toString("hex")}`;
    const webhook = { id, workspaceId, ...change, secret: createSecret(), createdAt: now, updatedAt: now };
    store.webhooks.save(webhook);
    return webhook;
  }

  /** @throws ApiError 404. The methods below throw the same error. */
  find(workspaceId: string, id: string): Webhook {
    const webhook = this.#dependencies.store.webhooks.find(id);
    if (webhook?.workspaceId !== workspaceId) throw webhookNotFound(id);
    return webhook;
  }

  update(workspaceId: string, id: string, change: Partial<WebhookChange & Pick<Webhook, "secret">>): Webhook {
    if (change.url !== undefined) this.#checkUrl(change.url);
    const { store, clock } = this.#dependencies;
    const webhook = { ...this.find(workspaceId, id), ...change, updatedAt: clock.now() };
    store.webhooks.save(webhook);
    return webhook;
  }

  /** Signs all deliveries from now on with a new secret, including waiting ones. */
  rotateSecret(workspaceId: string, id: string): Webhook {
    return this.update(workspaceId, id, { secret: createSecret() });
  }

  delete(workspaceId: string, id: string): void {
    this.#dependencies.store.webhooks.delete(this.find(workspaceId, id).id);
  }

  /** Sends an example event, even if the webhook is disabled. */
  test(workspaceId: string, id: string): WebhookDelivery {
    const webhook = this.find(workspaceId, id);
    const data = { cvm_id: "cvm_example", cvm_name: "example", app_id: `app_${"0".repeat(40)}`, status: "running" };
    return this.#sendAnyway({ webhook, event: "webhook.test", eventId: createEventId(), data });
  }

  /** Sends an event again under a new id. The new event names the id of the original one. */
  resend(workspaceId: string, id: string, eventId: string): WebhookDelivery {
    const webhook = this.find(workspaceId, id);
    const original = this.#dependencies.store.webhooks.findDelivery(id, eventId);
    if (!original) throw webhookNotFound(`${id}/deliveries/${eventId}`);
    const originalEventId = original.originalEventId ?? original.eventId;
    const { data } = JSON.parse(original.body);
    return this.#sendAnyway({ webhook, event: original.event, eventId: createEventId(), data, originalEventId });
  }

  /** Rejects a bad address when the webhook is saved. A host name is checked at each delivery, when it is resolved. */
  #checkUrl(url: string): void {
    if (this.#dependencies.isPrivateAllowed || !isForbiddenHost(new URL(url).hostname)) return;
    throw new InvalidRequestError(
      ["body", "url"],
      "Webhooks may call loopback and public addresses. Other addresses need a mock cloud started with --private-webhooks.",
    );
  }

  #sendAnyway(sending: Omit<Sending, "cause">): WebhookDelivery {
    const delivery = this.#send({ ...sending, cause: null });
    if (!delivery) throw new Error("A delivery without a cause was taken for a repetition.");
    return delivery;
  }

  #send({ webhook, event, eventId, data, cause, originalEventId = null }: Sending): WebhookDelivery | undefined {
    const { store, clock } = this.#dependencies;
    const createdAt = clock.now();
    const { name } = store.workspaces.find(webhook.workspaceId) as Workspace; // its row refers to it
    const body = JSON.stringify({
      id: eventId,
      event,
      version: "1",
      created_at: toIsoTime(createdAt),
      ...(originalEventId !== null && { original_event_id: originalEventId }),
      workspace: { id: webhook.workspaceId, name },
      data,
    });
    const webhookId = webhook.id;
    const delivery = store.webhooks.insertDelivery({
      webhookId,
      eventId,
      event,
      cause,
      originalEventId,
      body,
      createdAt,
    });
    if (delivery) store.afterCommit(() => this.#start(delivery));
    return delivery;
  }

  #start(delivery: WebhookDelivery): void {
    const run = this.#deliver(delivery).finally(() => this.#deliveries.delete(run));
    this.#deliveries.add(run);
  }

  async #deliver({ webhookId, eventId }: Pick<WebhookDelivery, "webhookId" | "eventId">): Promise<void> {
    const { store, clock, emit } = this.#dependencies;
    const { signal } = this.#stopping;
    const find = () => store.webhooks.findDelivery(webhookId, eventId);
    try {
      for (let delivery = find(); delivery?.state === "pending"; delivery = find()) {
        const waitMs = (delivery.nextAttemptAt ?? 0) - clock.now();
        if (waitMs > 0) {
          await clock.sleep(waitMs, signal);
          continue;
        }
        const attempt = this.#attempt(delivery, signal);
        this.#attempts.add(attempt);
        await attempt.finally(() => this.#attempts.delete(attempt));
      }
    } catch (error) {
      if (signal.aborted) return;
      emit({ type: "internal-error", requestId: eventId, message: String(error) });
      if (!(error instanceof StoreFullError)) return;
      await clock.sleep(fullDiskPauseMs, signal).catch(() => {});
      if (!signal.aborted) return this.#deliver({ webhookId, eventId });
    }
  }

  async #attempt(delivery: WebhookDelivery, signal: AbortSignal): Promise<void> {
    const { store, clock, emit, faults, timeoutMs, isPrivateAllowed } = this.#dependencies;
    const { id, webhookId, eventId, event } = delivery;
    const webhook = store.webhooks.find(webhookId);
    if (!webhook) return;
    // Tests and repetitions are sent on request, even if the webhook is disabled.
    if (!webhook.isEnabled && delivery.cause !== null) {
      const { attempts, attemptedAt, responseStatus } = delivery;
      const met = { attempts, attemptedAt, responseStatus, error: "The webhook is switched off." };
      return store.webhooks.recordAttempt(id, { ...met, state: "failed", nextAttemptAt: null });
    }
    const { isAccepted, ...met } = await postEvent(webhook, delivery, { timeoutMs, signal, isPrivateAllowed });
    signal.throwIfAborted();
    const attempts = delivery.attempts + 1;
    const delayMs = retryDelaysMs[attempts - 1];
    const state = isAccepted ? "delivered" : delayMs === undefined ? "failed" : "pending";
    const attemptedAt = clock.now();
    const nextAttemptAt = state === "pending" && delayMs !== undefined ? attemptedAt + delayMs : null;
    store.webhooks.recordAttempt(id, { ...met, state, attempts, attemptedAt, nextAttemptAt });
    emit({
      type: "webhook.attempted",
      webhookId,
      eventId,
      event,
      attempt: attempts,
      state,
      status: met.responseStatus,
    });
    const { cvm_id: cvm } = JSON.parse(delivery.body).data;
    if (!isAccepted || !faults.strike(["duplicate-delivery"], { event, cvm })) return;
    await postEvent(webhook, delivery, { timeoutMs, signal, isPrivateAllowed });
  }
}

interface Sending {
  readonly webhook: Webhook;
  readonly event: WebhookEvent;
  readonly eventId: string;
  readonly data: unknown;
  readonly cause: string | null;
  readonly originalEventId?: string | null;
}

function createEventId(): string {
  return `evt_${randomBytes(8).toString("hex")}`;
}

function createSecret(): string {
  return `whsec_${randomBytes(32).toString("hex")}`;
}

/** An occurrence that webhooks may subscribe to. */
export interface Occurrence {
  readonly event: WebhookEvent;
  readonly workspaceId: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Id of the occurrence. It is the same each time the same occurrence is reported. */
  readonly cause: string;
}

const eventsOfSuccess = {
  create: "cvm.started",
  start: "cvm.started",
  restart: "cvm.restarted",
  update: "cvm.updated",
  stop: "cvm.stopped",
  shutdown: "cvm.stopped",
  delete: "cvm.deleted",
} as const satisfies Record<OperationFinished["kind"], WebhookEvent>;

/** Turns one of the mock's events into an occurrence for webhooks. Most events have none. */
export function findOccurrence(store: Store, occurred: MockCloudEvent): Occurrence | undefined {
  const event = nameEvent(occurred);
  if (event === undefined || !("cvmId" in occurred) || occurred.cvmId === null) return undefined;
  const cvm = store.cvms.findHashidEver(occurred.cvmId);
  if (!cvm) return undefined;
  const data = {
    cvm_id: cvm.hashid,
    cvm_name: cvm.name,
    app_id: `app_${withoutPrefix(cvm.appId)}`,
    status: event === "cvm.deleted" ? "deleted" : cvm.status,
    ...("failure" in occurred && occurred.failure !== null && { error: occurred.failure }),
    ...(occurred.type === "update.prepared" && describePending(store, cvm, occurred)),
  };
  const source = "correlationId" in occurred ? occurred.correlationId : `${cvm.hashid} ${JSON.stringify(occurred)}`;
  return { event, workspaceId: cvm.workspaceId, data, cause: `${event} ${source}` };
}

function nameEvent(occurred: MockCloudEvent): WebhookEvent | undefined {
  if (occurred.type === "update.prepared") return "cvm.update.pending_approval";
  if (occurred.type === "operation.started") return occurred.kind === "create" ? "cvm.created" : undefined;
  if (occurred.type !== "operation.finished") return undefined;
  if (occurred.outcome === "done") return eventsOfSuccess[occurred.kind];
  // The API documents no event for any other failure.
  return occurred.kind === "create" ? "cvm.create_failed" : undefined;
}

/** What the app's owner must do. `calldata` is the plain hash, as the real API sends it, not an encoded call. */
function describePending(store: Store, cvm: Cvm, { composeHash, expiresAt }: UpdatePrepared) {
  const { kms } = store.platform.placeOf(cvm);
  return {
    kms: { chain_id: kms.chainId, contract_address: kms.contractAddress },
    onchain_action: { to: cvm.appId, method: "addComposeHash", calldata: composeHash },
    expires_at: toIsoTime(expiresAt),
    initiated_by: store.workspaces.firstUsername(cvm.workspaceId) ?? null,
  };
}
