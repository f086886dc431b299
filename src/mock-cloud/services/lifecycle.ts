import type { Clock } from "../clock.ts";
import { cvmBusy } from "../errors.ts";
import type { EventListener } from "../events.ts";
import type { Rollover } from "../rollover/rollover.ts";
import type { Cvm } from "../store/cvms.ts";
import type { BusyKind } from "../store/operations.ts";
import type { Store } from "../store/store.ts";

export type PowerAction = Extract<BusyKind, "start" | "stop" | "shutdown" | "restart">;

export interface LifecycleDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly emit: EventListener;
  readonly rollover: Rollover;
}

/** Starts, stops, restarts and deletes CVMs. Only deletion drops an update that waits for its registration. */
export class Lifecycle {
  readonly #dependencies: LifecycleDependencies;

  constructor(dependencies: LifecycleDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Returns at once; the CVM changes its state afterwards. Starting a running CVM or stopping a stopped one does
   * nothing.
   *
   * @throws ApiError 409
   */
  power(cvm: Cvm, action: PowerAction, correlationId: string): Cvm {
    const { store, rollover } = this.#dependencies;
    this.#refuseWhileBusy(cvm);
    const isThere = action === "restart" ? false : cvm.status === (action === "start" ? "running" : "stopped");
    if (isThere) return cvm;
    rollover.start(rollover.record(cvm.id, { kind: action, workload: cvm, correlationId, transactionHash: null }));
    return store.cvms.get(cvm.id);
  }

  /** Deletes the CVM. The app's contract does not change, because only its owner can change it. @throws ApiError 409 */
  delete(cvm: Cvm, correlationId: string): void {
    const { store, clock, emit } = this.#dependencies;
    this.#refuseWhileBusy(cvm);
    const { composeHash, composeText, encryptedEnv, settings, nodeId } = cvm;
    const now = clock.now();
    store.transaction(() => {
      const { id } = store.operations.insert({
        kind: "delete",
        cvmId: cvm.id,
        correlationId,
        composeHash,
        composeText,
        encryptedEnv,
        settings,
        nodeId,
        transactionHash: null,
        startedAt: now,
        delayMs: 0,
      });
      store.operations.finish(id, null, now);
      store.cvms.delete(cvm.id, now);
      const subject = { cvmId: cvm.hashid, correlationId, kind: "delete", composeHash } as const;
      emit({ type: "operation.started", ...subject });
      emit({ type: "operation.finished", ...subject, outcome: "done", failure: null });
    });
  }

  #refuseWhileBusy(cvm: Cvm): void {
    if (this.#dependencies.store.operations.runningOf(cvm.id)) throw cvmBusy(cvm.name);
  }
}
