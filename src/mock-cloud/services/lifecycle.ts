import type { Clock } from "../clock.ts";
import type { EventListener } from "../events.ts";
import type { Rollover } from "../rollover/rollover.ts";
import type { Cvm } from "../store/cvms.ts";
import type { BusyKind } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import type { ChangeContext } from "./updates.ts";

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
  power(cvm: Cvm, action: PowerAction, { correlationId, mayReplace }: ChangeContext): Cvm {
    const { store, rollover } = this.#dependencies;
    rollover.requireIdle(cvm, mayReplace);
    const isThere = action === "restart" ? false : cvm.status === (action === "start" ? "running" : "stopped");
    if (isThere) return cvm;
    rollover.start(rollover.record(cvm.id, { kind: action, workload: cvm, correlationId, transactionHash: null }));
    return store.cvms.get(cvm.id);
  }

  /** Deletes the CVM. The app's contract does not change, because only its owner can change it. @throws ApiError 409 */
  delete(cvm: Cvm, { correlationId, mayReplace }: ChangeContext): void {
    const { store, clock, emit, rollover } = this.#dependencies;
    rollover.requireIdle(cvm, mayReplace);
    const { composeHash, composeText, encryptedEnv, settings, nodeId } = cvm;
    const now = clock.now();
    store.transaction(() => {
      rollover.replaceWaiting(cvm);
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
        awaitedTag: null,
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
}
