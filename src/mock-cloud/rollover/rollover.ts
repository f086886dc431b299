import { alreadyRegistered } from "../../cloud/protocol.ts";
import { decryptEnvironment } from "../../core/environment.ts";
import { isDstackError } from "../../errors/index.ts";
import type { Clock } from "../clock.ts";
import { ApiError, cvmBusy, updateAwaitsFinality } from "../errors.ts";
import type { EventListener, FinalityJudged } from "../events.ts";
import type { Faults } from "../faults/faults.ts";
import type { KmsRuntime } from "../services/kms.ts";
import type { RegistrationVerifier } from "../services/onchain-policy.ts";
import type { Cvm, CvmStatus, Workload } from "../store/cvms.ts";
import { StoreFullError } from "../store/database.ts";
import type { AwaitedTag, BusyKind, Operation } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import { askBootGate, type BootVerdict, buildBootInfo } from "./boot-gate.ts";

export interface RolloverDependencies {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly clock: Clock;
  readonly emit: EventListener;
  readonly faults: Faults;
  readonly verifier: RegistrationVerifier;
  readonly rolloverMs: number;
  readonly bootRetryMs: number;
  readonly finalityPollMs: number;
}

export interface OperationRequest {
  readonly kind: BusyKind;
  readonly workload: Workload;
  readonly correlationId: string;
  readonly transactionHash: Operation["transactionHash"];
  /** The operation begins when this tag reaches its registration. @default none */
  readonly awaitedTag?: AwaitedTag | null;
}

/** The state of the CVM after an operation. */
interface Outcome {
  readonly status: CvmStatus;
  /** Why the operation did not succeed. */
  readonly failure: string | null;
  readonly bootError: string | null;
}

const busyStatus: Readonly<Record<BusyKind, CvmStatus>> = {
  create: "creating",
  update: "updating",
  start: "starting",
  stop: "stopping",
  shutdown: "stopping",
  restart: "restarting",
};

/**
 * Runs accepted operations. Before a CVM boots, it asks the KMS for permission. If the KMS refuses an update, the CVM
 * boots its previous workload again, if the KMS allows that one. After any other refusal the CVM stays down. The reason
 * is stored in both cases. Running operations are in the store, so a server that was killed continues them at its next
 * start.
 */
export class Rollover {
  readonly #dependencies: RolloverDependencies;
  readonly #active = new Set<Promise<void>>();
  #stopping = new AbortController();

  constructor(dependencies: RolloverDependencies) {
    this.#dependencies = dependencies;
  }

  /** Starts the operations again that an earlier process did not finish. */
  resume(): void {
    for (const operation of this.#dependencies.store.operations.running()) {
      if (operation.awaitedTag === null)
        this.#announce(operation, this.#dependencies.store.cvms.get(operation.cvmId).hashid);
      this.start(operation);
    }
  }

  /**
   * Checks that no operation keeps the CVM busy. An update that waits for finality does not touch the CVM yet, so the
   * caller may replace it.
   *
   * @throws ApiError 409
   */
  requireIdle({ id, name }: Cvm, mayReplace: boolean): void {
    const running = this.#dependencies.store.operations.runningOf(id);
    if (running === undefined) return;
    if (running.awaitedTag === null) throw cvmBusy(name);
    if (!mayReplace) throw updateAwaitsFinality(name, running);
  }

  /** Ends the CVM's update that waits for finality, if there is one. Call it inside the transaction that replaces it. */
  replaceWaiting({ id, status, bootError }: Cvm): void {
    const waiting = this.#dependencies.store.operations.runningOf(id);
    if (!waiting?.awaitedTag) return;
    const failure = "A later request replaced the update while it waited for finality.";
    this.#settle(waiting, { status, failure, bootError });
    this.#announceFinality(waiting, "replaced", failure);
  }

  /**
   * Stores an operation and takes the CVM out of service, in one transaction. Call `start` afterwards. If the CVM is
   * stopped, an update leaves it stopped and takes effect at `start`. An operation that waits for finality leaves the
   * CVM in service until then. Replaces an operation that waits for finality.
   */
  record(cvmId: number, request: OperationRequest): Operation {
    const { store, clock, emit } = this.#dependencies;
    const { kind, correlationId, transactionHash, awaitedTag = null } = request;
    const { composeText, composeHash, encryptedEnv, settings } = request.workload;
    const startedAt = clock.now();
    return store.transaction(() => {
      const cvm = store.cvms.get(cvmId);
      this.replaceWaiting(cvm);
      const { hashid, nodeId, nextNodeId } = cvm;
      const delayMs = awaitedTag === null ? this.#takeDown(cvm, kind) : 0;
      const operation = store.operations.insert({
        correlationId,
        cvmId,
        kind,
        composeText,
        composeHash,
        encryptedEnv,
        settings,
        nodeId: nextNodeId ?? nodeId,
        transactionHash,
        awaitedTag,
        startedAt,
        delayMs,
      });
      if (awaitedTag === null) this.#announce(operation, hashid);
      else emit({ type: "finality.awaited", cvmId: hashid, correlationId, composeHash, tag: awaitedTag });
      return operation;
    });
  }

  /** @returns how many milliseconds a fault adds to the rollover */
  #takeDown({ id, hashid, status }: Cvm, kind: BusyKind): number {
    const { store, clock, faults } = this.#dependencies;
    const isAsleep = kind === "update" && status === "stopped";
    const slowness = isAsleep ? undefined : faults.strike(["slow-rollover"], { cvm: hashid });
    store.cvms.setStatus(id, isAsleep ? "stopped" : busyStatus[kind], null, clock.now());
    return slowness?.ms ?? 0;
  }

  start(operation: Operation): void {
    const run = this.#run(operation).finally(() => this.#active.delete(run));
    this.#active.add(run);
  }

  /** Resolves once no operation is running. */
  async whenIdle(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  /** Stops all work. Unfinished operations continue at the next start. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#active);
  }

  /** Stops all work until `resume`. */
  async pause(): Promise<void> {
    await this.close();
    this.#stopping = new AbortController();
  }

  #announce({ correlationId, kind, composeHash }: Operation, hashid: string): void {
    this.#dependencies.emit({ type: "operation.started", cvmId: hashid, correlationId, kind, composeHash });
  }

  #announceFinality(
    { cvmId, correlationId, composeHash, awaitedTag }: Operation,
    verdict: FinalityJudged["verdict"],
    message: string,
  ): void {
    const { store, emit } = this.#dependencies;
    if (awaitedTag === null) return;
    const subject = { cvmId: store.cvms.get(cvmId).hashid, correlationId, composeHash, tag: awaitedTag };
    emit({ type: "finality.judged", ...subject, verdict, message });
  }

  /**
   * Waits until the tag reaches the registration. Returns the operation that begins then. Undefined if the operation
   * ended instead: the chain lost the registration, or a later request replaced the update.
   */
  async #awaitFinality(waiting: Operation, tag: AwaitedTag): Promise<Operation | undefined> {
    const { store, clock, finalityPollMs } = this.#dependencies;
    const { signal } = this.#stopping;
    const isWaiting = () => store.operations.runningOf(waiting.cvmId)?.id === waiting.id;
    while (isWaiting()) {
      const verdict = await this.#judgeFinality(waiting, tag);
      signal.throwIfAborted();
      if (!isWaiting()) return undefined;
      if (verdict instanceof ApiError) {
        const { status, errorCode, message } = verdict;
        this.#refuse(waiting, `${message} (HTTP ${status}, ${errorCode}, before the registration was ${tag})`);
        return undefined;
      }
      if (verdict) return this.#begin(waiting);
      await clock.sleep(finalityPollMs, signal);
    }
    return undefined;
  }

  /** Returns whether the registration is final, or why it is refused. A chain that gives no answer decides nothing. */
  async #judgeFinality(
    { cvmId, composeHash, transactionHash }: Operation,
    tag: AwaitedTag,
  ): Promise<boolean | ApiError> {
    const { store, verifier } = this.#dependencies;
    const confirmation = { composeHash, transactionHash: transactionHash ?? alreadyRegistered };
    try {
      return await verifier.isFinal(store.cvms.get(cvmId), confirmation, tag);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return error.status === 503 ? false : error;
    }
  }

  /** The CVM keeps its document. The update can be confirmed again, with another transaction. */
  #refuse(waiting: Operation, failure: string): void {
    const { store } = this.#dependencies;
    store.transaction(() => {
      const { status } = store.cvms.get(waiting.cvmId);
      this.#settle(waiting, { status, failure, bootError: failure });
      store.pendingUpdates.reopen(waiting.cvmId, waiting.correlationId);
      this.#announceFinality(waiting, "refused", failure);
    });
  }

  #begin(waiting: Operation): Operation {
    const { store, clock } = this.#dependencies;
    return store.transaction(() => {
      const startedAt = clock.now();
      const cvm = store.cvms.get(waiting.cvmId);
      const delayMs = this.#takeDown(cvm, "update");
      store.operations.begin(waiting.id, { startedAt, delayMs });
      // Read again, because a setting that the guest does not see may have changed during the wait.
      const { settings } = store.operations.runningOf(waiting.cvmId) ?? waiting;
      const operation: Operation = { ...waiting, settings, awaitedTag: null, startedAt, delayMs };
      this.#announceFinality(waiting, "reached", `The registration is ${waiting.awaitedTag}.`);
      this.#announce(operation, cvm.hashid);
      return operation;
    });
  }

  /** While the state file cannot be written, nothing of the operation is lost: it is tried again. */
  async #run(recorded: Operation): Promise<void> {
    const { store, clock, bootRetryMs, emit } = this.#dependencies;
    const { signal } = this.#stopping;
    let isTold = false;
    for (let operation: Operation | undefined = recorded; operation?.id === recorded.id && !signal.aborted; ) {
      try {
        return await this.#complete(operation);
      } catch (error) {
        if (!(error instanceof StoreFullError)) throw error;
        if (!isTold) emit({ type: "internal-error", requestId: recorded.correlationId, message: String(error) });
        isTold = true;
        await clock.sleep(bootRetryMs, signal).catch(() => {});
        operation = store.operations.runningOf(recorded.cvmId);
      }
    }
  }

  async #complete(recorded: Operation): Promise<void> {
    const { store, clock, rolloverMs } = this.#dependencies;
    const { signal } = this.#stopping;
    let operation = recorded;
    try {
      if (recorded.awaitedTag !== null) {
        const begun = await this.#awaitFinality(recorded, recorded.awaitedTag);
        if (begun === undefined) return;
        operation = begun;
      }
      const cvm = store.cvms.get(operation.cvmId);
      if (cvm.status === "stopped")
        return this.#settle(operation, { status: "stopped", failure: null, bootError: null });
      const leftMs = operation.startedAt + rolloverMs + operation.delayMs - clock.now();
      if (leftMs > 0) await clock.sleep(leftMs, signal);
      const outcome = await this.#perform(cvm, operation);
      signal.throwIfAborted();
      this.#settle(operation, outcome);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof StoreFullError) throw error;
      const failure = `Internal error of the mock cloud: ${String(error)}`;
      this.#settle(operation, { status: "error", failure, bootError: failure });
    }
  }

  async #perform(cvm: Cvm, operation: Operation): Promise<Outcome> {
    const { kind } = operation;
    if (kind === "stop" || kind === "shutdown") return { status: "stopped", failure: null, bootError: null };
    const failure = await this.#boot(cvm, operation, operation.nodeId);
    if (failure === null) return { status: "running", failure, bootError: null };
    if (kind !== "update") return { status: "error", failure, bootError: failure };
    const fallbackFailure = await this.#boot(cvm, cvm, cvm.nodeId);
    if (fallbackFailure === null) return { status: "running", failure, bootError: failure };
    const isSameReason = failure === fallbackFailure;
    const bootError = isSameReason ? failure : `${failure}; nor does the previous compose boot: ${fallbackFailure}`;
    return { status: "error", failure, bootError };
  }

  /** Returns why the KMS refuses this boot, or null if it allows the boot. Asks until the chain gives an answer. */
  async #boot(cvm: Cvm, workload: Workload, nodeId: number): Promise<string | null> {
    const { clock, bootRetryMs } = this.#dependencies;
    let verdict = await this.#askForKeys(cvm, workload, nodeId);
    while (verdict.kind === "unreadable") {
      await clock.sleep(bootRetryMs, this.#stopping.signal);
      verdict = await this.#askForKeys(cvm, workload, nodeId);
    }
    return verdict.kind === "refused" ? verdict.reason : null;
  }

  async #askForKeys(cvm: Cvm, workload: Workload, nodeId: number): Promise<BootVerdict> {
    const policyVerdict = await this.#askPolicy(cvm, workload, nodeId);
    const verdict = policyVerdict.kind === "allowed" ? this.#openEnvironment(cvm, workload) : policyVerdict;
    this.#dependencies.emit({
      type: "boot.judged",
      cvmId: cvm.hashid,
      composeHash: workload.composeHash,
      verdict: verdict.kind,
      reason: verdict.kind === "refused" ? verdict.reason : "",
    });
    return verdict;
  }

  async #askPolicy(cvm: Cvm, workload: Workload, nodeId: number): Promise<BootVerdict> {
    const { store, kmsRuntime, faults } = this.#dependencies;
    const fault = faults.strike(["boot-failure"], { cvm: cvm.hashid });
    if (fault) return { kind: "refused", reason: fault.reason };
    const { kms, node } = store.platform.placeOf({ kmsId: cvm.kmsId, nodeId });
    const osImage = store.platform.findOsImage(workload.settings.osImage);
    if (!osImage) return { kind: "refused", reason: `OS image ${workload.settings.osImage} is gone` };
    if (!kmsRuntime.isUp(kms.id)) return { kind: "unreadable", cause: new Error(`KMS ${kms.slug} is down.`) };
    if (kms.chainId === null || kms.contractAddress === null) return { kind: "allowed" };
    const client = kmsRuntime.chain(kms.id, cvm.hashid);
    if (!client) return { kind: "unreadable", cause: new Error(`No RPC endpoint is configured for KMS ${kms.slug}.`) };
    const policy = { chainId: kms.chainId, contractAddress: kms.contractAddress };
    return askBootGate(client, policy, buildBootInfo(cvm, workload, node, osImage));
  }

  /** Decrypts the environment. Only the guest can do that, not the backend, so a bad ciphertext fails only at boot. */
  #openEnvironment(cvm: Cvm, workload: Workload): BootVerdict {
    const { kmsRuntime } = this.#dependencies;
    const { encryptedEnv } = workload;
    try {
      if (encryptedEnv !== null) decryptEnvironment(encryptedEnv, kmsRuntime.appKey(cvm.kmsId, cvm.appId).privateKey);
      return { kind: "allowed" };
    } catch (error) {
      if (isDstackError(error)) return { kind: "refused", reason: error.message };
      throw error;
    }
  }

  #settle(operation: Operation, { status, failure, bootError }: Outcome): void {
    const { store, clock, emit } = this.#dependencies;
    const { id, cvmId, correlationId, kind, composeHash, nodeId } = operation;
    const now = clock.now();
    store.transaction(() => {
      if (failure === null && kind === "update") store.cvms.setWorkload(cvmId, operation);
      if (status === "running" && failure === null) store.cvms.setNode(cvmId, nodeId);
      store.operations.finish(id, failure, now);
      store.cvms.setStatus(cvmId, status, bootError, now);
      emit({
        type: "operation.finished",
        cvmId: store.cvms.get(cvmId).hashid,
        correlationId,
        kind,
        composeHash,
        outcome: failure === null ? "done" : "failed",
        failure,
      });
    });
  }
}
