import { randomUUID } from "node:crypto";
import Fastify, { type FastifyInstance } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { apiBasePath } from "../cloud/protocol.ts";
import type { EnvironmentVariable } from "../core/environment.ts";
import type { ComposeHash, DeviceId, Hex } from "../core/ids.ts";
import { createAdjustableClock } from "./clock.ts";
import type { EventListener, MockCloudEvent } from "./events.ts";
import { Faults } from "./faults/faults.ts";
import type { FaultRule, SetFault } from "./faults/rule.ts";
import {
  checkAdminKey,
  registerApiVersion,
  registerAuthentication,
  registerDrain,
  registerRequestEvents,
  registerRequestFaults,
} from "./http/hooks.ts";
import { createLinks } from "./http/links.ts";
import { registerOpenApi } from "./http/openapi.ts";
import { createPageGuard, registerPageGuard } from "./http/page-guard.ts";
import { refuseUnroutable, registerBodyParsers, registerErrorBodies, registerMethodNotAllowed } from "./http/server.ts";
import type { MockCloudOptions, MockCloudSeed } from "./options.ts";
import { openGuestEnvironment } from "./rollover/boot-gate.ts";
import { Rollover } from "./rollover/rollover.ts";
import { authRoutes, deviceLoginRoutes, sshKeyRoutes, workspaceRoutes } from "./routes/account.ts";
import { adminRoutes } from "./routes/admin.ts";
import { appPolicyRoutes } from "./routes/app-policy.ts";
import { appRoutes } from "./routes/apps.ts";
import { commitInstanceRoutes, commitPageRoutes, commitRoutes } from "./routes/commits.ts";
import { createVmAnswer, cvmListRoutes, cvmRoutes, lifecycleRoutes } from "./routes/cvms.ts";
import { attestationRoutes, guestRoutes } from "./routes/guest.ts";
import { instanceRoutes } from "./routes/instances.ts";
import { kmsRoutes } from "./routes/kms.ts";
import { logRoutes } from "./routes/logs.ts";
import { catalogRoutes, nodeRoutes } from "./routes/platform.ts";
import { revisionRoutes } from "./routes/revisions.ts";
import { settingsRoutes } from "./routes/settings.ts";
import { stateRoutes } from "./routes/state.ts";
import { updateRoutes } from "./routes/updates.ts";
import { webhookRoutes } from "./routes/webhooks.ts";
import { findKms } from "./services/find.ts";
import { Fleet } from "./services/fleet.ts";
import { Instances } from "./services/instances.ts";
import { KmsRuntime } from "./services/kms.ts";
import { Lifecycle } from "./services/lifecycle.ts";
import { RegistrationVerifier } from "./services/onchain-policy.ts";
import { PreparedUpdates } from "./services/prepared-updates.ts";
import { Provisioning } from "./services/provisioning.ts";
import { seedStore } from "./services/seed.ts";
import { Timekeeper } from "./services/timekeeper.ts";
import { Updates } from "./services/updates.ts";
import { CvmChanges } from "./services/watch-state.ts";
import { Drain, Snapshots } from "./snapshots.ts";
import type { Operation } from "./store/operations.ts";
import { openStore } from "./store/store.ts";
import { WebhookService } from "./webhooks/webhook-service.ts";

/** A mock cloud in this process, with or without a socket. `close` stops everything it started. */
export interface MockCloud {
  /** Fastify's server, not listening yet. `inject` works without a socket. */
  readonly app: FastifyInstance;
  /** Adds or changes workspaces, KMS, nodes and OS images, and adds CVMs. */
  seed(seed: MockCloudSeed): void;
  /** The environment that the CVM's guest sees. For tests; no API returns it. @param hashid `cvm_…` */
  readEnvironment(hashid: string): EnvironmentVariable[];
  /** All accepted changes of a CVM with their results, oldest first. @param hashid `cvm_…` */
  readHistory(hashid: string): OperationRecord[];
  /**
   * Moves the CVM to another node at its next rollover. Its app may not allow that node's device.
   *
   * @param hashid `cvm_…`
   */
  moveCvm(hashid: string, nodeId: number): void;
  /** Gives a node another device id. Later boots on this node present the new id. */
  driftDevice(nodeId: number): DeviceId;
  /**
   * Calls `onAdvance`, then moves the cloud's clock. Waits that are due by then end, but this call does not wait for
   * the work after them: see `whenIdle`.
   */
  advance(milliseconds: number): Promise<void>;
  /**
   * Sets a fault: from now on requests or operations fail as the rule says.
   *
   * @throws ZodError when the rule is invalid
   */
  setFault(rule: FaultRule): SetFault;
  clearFaults(): void;
  /**
   * Keeps the backend's state and time, so that `restore` can return to them while this cloud lives. Returns the
   * snapshot's id.
   *
   * @throws ApiError 503 when running requests do not finish in time
   */
  snapshot(): Promise<string>;
  /**
   * Returns to a snapshot: all stored data, the clock, and the operations that were running. Faults stay as they are
   * now. Running requests finish first. Requests that arrive meanwhile wait.
   *
   * @throws ApiError 404, or 503 when running requests do not finish in time
   */
  restore(id: string): Promise<void>;
  /** The public key that verifies this KMS's answers, compressed. @param kms id, slug or type */
  kmsPublicKey(kms: string): Hex;
  /** Resolves when no operation of a CVM is running. */
  whenIdle(): Promise<void>;
  /** Resolves when no request to a webhook is running. Retries that are not due yet do not count. */
  whenDelivered(): Promise<void>;
  close(): Promise<void>;
}

export interface OperationRecord {
  readonly correlationId: string;
  readonly kind: Operation["kind"];
  readonly state: Operation["state"];
  readonly composeHash: ComposeHash;
  readonly transactionHash: Operation["transactionHash"];
  readonly failure: string | null;
}

/** Events after which clients see another state of the CVM. */
const changesState: ReadonlySet<MockCloudEvent["type"]> = new Set([
  "finality.awaited",
  "finality.judged",
  "operation.started",
  "operation.finished",
]);

/**
 * Builds a mock cloud from its options only. It reads no environment variable or global and opens no socket.
 *
 * @example
 * import { buildMockCloud } from "dstack-toolkit/mock-cloud";
 * const { app, close } = await buildMockCloud();
 * const reply = await app.inject({ url: "/api/v1/kms" });
 * await close();
 */
export async function buildMockCloud(options: MockCloudOptions = {}): Promise<MockCloud> {
  const listener = options.onEvent ?? (() => {});
  const changes = new CvmChanges();
  // Called inside the transaction that makes an event true. It stores webhook deliveries there, and calls all other
  // listeners after the commit.
  const emit: EventListener = (event) => {
    webhookService.announce(event);
    store.afterCommit(() => {
      if (changesState.has(event.type) && "cvmId" in event && event.cvmId !== null) changes.announce(event.cvmId);
      listener(event);
    });
  };
  const adminKey = options.admin && checkAdminKey(options.admin.key);
  const guard = createPageGuard(options);
  const links = createLinks(options.publicUrl, () => app.server.address());
  const stopping = new AbortController();

  const store = openStore(options.stateFile ?? ":memory:");
  const clock = createAdjustableClock(options.clock, store.settings.clockOffset());
  const timekeeper = new Timekeeper({ store, clock, emit, onAdvance: options.onAdvance ?? (() => {}) });
  const faults = new Faults(emit);
  const webhookService = new WebhookService({
    store,
    clock,
    emit,
    faults,
    timeoutMs: options.webhookTimeoutMs ?? 10_000,
    isPrivateAllowed: options.privateWebhooks ?? false,
  });
  const kmsRuntime = new KmsRuntime({ faults, clock, signal: stopping.signal }, undefined, options.finality);
  seedStore(store, kmsRuntime, options, clock.now());

  const verifier = new RegistrationVerifier({
    platform: store.platform,
    kmsRuntime,
    clock,
    receiptAttempts: options.receiptAttempts ?? 5,
    receiptRetryMs: options.receiptRetryMs ?? 300,
    signal: stopping.signal,
  });
  const rollover = new Rollover({
    store,
    kmsRuntime,
    clock,
    emit,
    faults,
    verifier,
    rolloverMs: options.rolloverMs ?? 1000,
    bootRetryMs: options.bootRetryMs ?? 1000,
    finalityPollMs: options.finalityPollMs ?? 4000,
  });
  const drain = new Drain(options.drainMs ?? 10_000);
  const snapshots = new Snapshots({
    store,
    timekeeper,
    rollover,
    webhookService,
    drain,
    onSnapshot: options.onSnapshot ?? (() => {}),
    onRestore: options.onRestore ?? (() => {}),
  });
  const fleet = new Fleet(store);
  const updates = new Updates({ store, clock, emit, rollover, fleet, verifier, kmsRuntime });
  const prepared = new PreparedUpdates({ store, clock, updates });
  const provisioning = new Provisioning({ store, clock, rollover, fleet });
  const vmAnswer = createVmAnswer(store, kmsRuntime);
  const instances = new Instances({ store, clock, fleet, rollover, verifier, kmsRuntime });
  const lifecycle = new Lifecycle({ store, clock, emit, rollover });

  const app = Fastify({
    genReqId: () => randomUUID(),
    forceCloseConnections: true,
    // Time limit for receiving a request. Answers have no time limit, because streams stay open on purpose.
    requestTimeout: 30_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 },
    // An id that is too long gives 404 like any other unknown id. By default Fastify answers 414 above 100 characters.
    routerOptions: { maxParamLength: 16_384 },
    frameworkErrors: refuseUnroutable,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  // A failing accept(), for example without free file descriptors, ends the process unless a listener handles it.
  app.addHook("onListen", async () => {
    app.server.on("error", (error) => emit({ type: "internal-error", requestId: "", message: String(error) }));
  });
  registerErrorBodies(app, emit);
  registerPageGuard(app, guard);
  registerMethodNotAllowed(app);
  registerRequestEvents(app, emit);
  registerRequestFaults(app, { faults, clock, store, stopping: stopping.signal });
  registerDrain(app, drain);
  registerBodyParsers(app);
  await registerOpenApi(app);
  await app.register(
    async (api) => {
      registerAuthentication(api, store.workspaces);
      registerApiVersion(api);
      await api.register(authRoutes);
      await api.register(kmsRoutes, { store, kmsRuntime });
      await api.register(cvmRoutes, { store, kmsRuntime, provisioning, links });
      await api.register(webhookRoutes, { webhooks: store.webhooks, webhookService });
      await api.register(updateRoutes, { store, kmsRuntime, updates, links });
      await api.register(instanceRoutes, { store, kmsRuntime, instances, vmAnswer, links });
      await api.register(stateRoutes, { store, clock, changes, stopping: stopping.signal });
      await api.register(guestRoutes, { store, kmsRuntime, clock, links });
      await api.register(cvmListRoutes, { store, kmsRuntime, clock });
      await api.register(appRoutes, { store, kmsRuntime, clock });
      await api.register(nodeRoutes, { platform: store.platform, fleet });
      await api.register(catalogRoutes, { platform: store.platform });
      await api.register(workspaceRoutes, { store, fleet, clock });
      await api.register(sshKeyRoutes, { sshKeys: store.sshKeys, clock });
      await api.register(settingsRoutes, { store, kmsRuntime, updates, links });
      await api.register(appPolicyRoutes, { store, kmsRuntime });
      await api.register(attestationRoutes, { store, kmsRuntime });
      await api.register(revisionRoutes, { store, clock, updates });
      await api.register(lifecycleRoutes, { store, kmsRuntime, lifecycle });
    },
    { prefix: apiBasePath },
  );
  // These routes need no API key: a login has none yet, and a commit token is a credential itself.
  await app.register(
    async (open) => {
      registerApiVersion(open);
      await open.register(deviceLoginRoutes, { store, clock, links, isOffered: options.deviceLogin ?? false });
      await open.register(commitInstanceRoutes, { store, clock, instances, vmAnswer });
      await open.register(commitRoutes, { store, kmsRuntime, prepared });
    },
    { prefix: apiBasePath },
  );
  await app.register(commitPageRoutes, { store, kmsRuntime, prepared });
  await app.register(logRoutes, { store, clock, changes, stopping: stopping.signal });
  if (adminKey !== undefined)
    await app.register(adminRoutes, {
      prefix: "/admin",
      key: adminKey,
      timekeeper,
      faults,
      snapshots,
      fleet,
      cvms: store.cvms,
    });
  app.addHook("preClose", async () => stopping.abort());
  app.addHook("onClose", async () => {
    await rollover.close();
    await webhookService.close();
    store.close();
  });
  await app.ready();
  webhookService.resume();
  rollover.resume();

  const byHashid = (hashid: string) => {
    const cvm = store.cvms.findHashid(hashid);
    if (!cvm) throw new Error(`There is no CVM ${hashid}.`);
    return cvm;
  };
  return {
    app,
    seed: (seed) => seedStore(store, kmsRuntime, seed, clock.now()),
    readEnvironment: (hashid) => {
      const cvm = byHashid(hashid);
      return openGuestEnvironment(cvm, kmsRuntime.appKey(cvm.kmsId, cvm.appId).privateKey);
    },
    readHistory: (hashid) =>
      store.operations
        .ofCvm(byHashid(hashid).id)
        .map(({ correlationId, kind, state, composeHash, transactionHash, failure }) => ({
          correlationId,
          kind,
          state,
          composeHash,
          transactionHash,
          failure,
        })),
    moveCvm: (hashid, nodeId) => fleet.move(byHashid(hashid), nodeId),
    driftDevice: (nodeId) => fleet.driftDevice(nodeId),
    advance: (milliseconds) => timekeeper.advance(milliseconds),
    setFault: (rule) => faults.set(rule),
    snapshot: () => snapshots.take(),
    restore: (id) => snapshots.restore(id),
    clearFaults: () => void faults.clear(),
    kmsPublicKey: (kms) => kmsRuntime.signingPublicKey(findKms(store.platform, kms).id),
    whenDelivered: () => webhookService.whenDelivered(),
    whenIdle: () => rollover.whenIdle(),
    close: () => app.close(),
  };
}
