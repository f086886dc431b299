import { isDstackError } from "../../errors/index.ts";
import type { Clock } from "../clock.ts";
import type { EventListener } from "../events.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import type { Cvm, Workload } from "../store/cvms.ts";
import type { Operation, OperationKind } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import { askBootGate, type BootVerdict } from "./boot-gate.ts";
import { buildBootInfo } from "./boot-info.ts";
import { openGuestEnvironment } from "./guest-environment.ts";

export interface RolloverDependencies {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly clock: Clock;
  readonly emit: EventListener;
  readonly rolloverMs: number;
  readonly bootRetryMs: number;
}

export interface OperationRequest {
  readonly kind: OperationKind;
  readonly workload: Workload;
  readonly correlationId: string;
  readonly transactionHash: Operation["transactionHash"];
}

/**
 * Brings accepted operations into force: the CVM goes down, asks the KMS whether it may boot the new document, and
 * either runs it or goes back to what it ran before, with the reason kept. What is under way is in the store, so a
 * restarted server goes on where the last one was killed.
 */
export class Rollover {
  readonly #dependencies: RolloverDependencies;
  readonly #stopping = new AbortController();
  readonly #active = new Set<Promise<void>>();

  constructor(dependencies: RolloverDependencies) {
    this.#dependencies = dependencies;
  }

  /** Takes up what a former process left unfinished. */
  resume(): void {
    for (const operation of this.#dependencies.store.operations.running()) this.start(operation);
  }

  /** Notes an operation and takes the CVM out of service, in one step. `start` it afterwards. */
  record(cvmId: number, request: OperationRequest): Operation {
    const { store, clock } = this.#dependencies;
    const { kind, correlationId, transactionHash } = request;
    const { composeText, composeHash, encryptedEnv, settings } = request.workload;
    const startedAt = clock.now();
    return store.transaction(() => {
      const { nodeId, nextNodeId } = store.cvms.get(cvmId);
      store.cvms.setStatus(cvmId, kind === "create" ? "creating" : "updating", null, startedAt);
      return store.operations.insert({
        correlationId,
        cvmId,
        kind,
        composeText,
        composeHash,
        encryptedEnv,
        settings,
        nodeId: nextNodeId ?? nodeId,
        transactionHash,
        startedAt,
      });
    });
  }

  start(operation: Operation): void {
    const { correlationId, kind, composeHash } = operation;
    const { store, emit } = this.#dependencies;
    emit({
      type: "operation.started",
      cvmId: store.cvms.get(operation.cvmId).hashid,
      correlationId,
      kind,
      composeHash,
    });
    const run = this.#run(operation).finally(() => this.#active.delete(run));
    this.#active.add(run);
  }

  /** Resolves once no operation is running. */
  async whenIdle(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  /** Leaves unfinished operations to the next start. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#active);
  }

  async #run(operation: Operation): Promise<void> {
    const { clock, rolloverMs, bootRetryMs } = this.#dependencies;
    const { signal } = this.#stopping;
    try {
      await clock.sleep(Math.max(0, operation.startedAt + rolloverMs - clock.now()), signal);
      let verdict = await this.#boot(operation);
      while (verdict.kind === "unreadable") {
        await clock.sleep(bootRetryMs, signal);
        verdict = await this.#boot(operation);
      }
      signal.throwIfAborted();
      this.#settle(operation, verdict.kind === "refused" ? verdict.reason : null);
    } catch (error) {
      if (!signal.aborted) this.#settle(operation, `Internal error of the mock cloud: ${String(error)}`);
    }
  }

  async #boot(operation: Operation): Promise<BootVerdict> {
    const cvm = this.#dependencies.store.cvms.get(operation.cvmId);
    const policyVerdict = await this.#askPolicy(cvm, operation);
    const verdict = policyVerdict.kind === "allowed" ? this.#openEnvironment(cvm, operation) : policyVerdict;
    this.#dependencies.emit({
      type: "boot.judged",
      cvmId: cvm.hashid,
      composeHash: operation.composeHash,
      verdict: verdict.kind,
      reason: verdict.kind === "refused" ? verdict.reason : "",
    });
    return verdict;
  }

  async #askPolicy(cvm: Cvm, operation: Operation): Promise<BootVerdict> {
    const { store, kmsRuntime } = this.#dependencies;
    const { kms, node } = store.platform.placeOf({ kmsId: cvm.kmsId, nodeId: operation.nodeId });
    const osImage = store.platform.findOsImage(operation.settings.osImage);
    if (!osImage) return { kind: "refused", reason: `OS image ${operation.settings.osImage} is gone` };
    if (!kmsRuntime.isUp(kms.id)) return { kind: "unreadable", cause: new Error(`KMS ${kms.slug} is down.`) };
    if (kms.chainId === null || kms.contractAddress === null) return { kind: "allowed" };
    const client = kmsRuntime.chain(kms.id);
    if (!client) return { kind: "unreadable", cause: new Error(`No RPC endpoint is configured for KMS ${kms.slug}.`) };
    const policy = { chainId: kms.chainId, contractAddress: kms.contractAddress };
    return askBootGate(client, policy, buildBootInfo(cvm, operation, node, osImage));
  }

  /** Only the guest can open its environment; the backend never could, so this fails as late as it does for real. */
  #openEnvironment(cvm: Cvm, operation: Operation): BootVerdict {
    try {
      openGuestEnvironment(operation, this.#dependencies.kmsRuntime.appKey(cvm.kmsId, cvm.appId).privateKey);
      return { kind: "allowed" };
    } catch (error) {
      if (isDstackError(error)) return { kind: "refused", reason: error.message };
      throw error;
    }
  }

  #settle(operation: Operation, failure: string | null): void {
    const { store, clock, emit } = this.#dependencies;
    const now = clock.now();
    store.transaction(() => {
      if (failure === null) {
        store.cvms.setWorkload(operation.cvmId, operation);
        store.cvms.setNode(operation.cvmId, operation.nodeId);
      }
      store.operations.finish(operation.id, failure, now);
      // A CVM that never ran has nothing to go back to.
      const hasRun = store.operations.ofCvm(operation.cvmId).some(({ state }) => state === "done");
      store.cvms.setStatus(operation.cvmId, hasRun ? "running" : "error", failure, now);
    });
    emit({
      type: "operation.finished",
      cvmId: store.cvms.get(operation.cvmId).hashid,
      correlationId: operation.correlationId,
      composeHash: operation.composeHash,
      outcome: failure === null ? "done" : "failed",
      failure,
    });
  }
}
