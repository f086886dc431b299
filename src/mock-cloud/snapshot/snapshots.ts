import { ApiError } from "../errors.ts";
import type { Rollover } from "../rollover/rollover.ts";
import type { Timekeeper } from "../services/timekeeper.ts";
import type { StoreContent } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import type { WebhookService } from "../webhooks/webhook-service.ts";

export interface SnapshotsDependencies {
  readonly store: Store;
  readonly timekeeper: Timekeeper;
  readonly rollover: Rollover;
  readonly webhookService: WebhookService;
}

interface Snapshot {
  readonly content: StoreContent;
  readonly takenAt: number;
}

/** States of the backend to go back to, any number of times. They live in memory, as long as the cloud does. */
export class Snapshots {
  readonly #dependencies: SnapshotsDependencies;
  readonly #taken = new Map<string, Snapshot>();
  #restoring: Promise<void> = Promise.resolve();

  constructor(dependencies: SnapshotsDependencies) {
    this.#dependencies = dependencies;
  }

  /** Keeps all that is stored, and the time. Reading it is one step, so nothing is caught halfway. */
  take(): string {
    const { store, timekeeper } = this.#dependencies;
    const id = `snapshot_${this.#taken.size + 1}`;
    this.#taken.set(id, { content: store.dump(), takenAt: timekeeper.now() });
    return id;
  }

  /**
   * Ends what is under way, goes back to the snapshot and its time, and takes up what was under way then.
   *
   * @throws ApiError 404
   */
  async restore(id: string): Promise<void> {
    const snapshot = this.#taken.get(id);
    if (!snapshot) throw new ApiError(404, undefined, `There is no snapshot ${id}.`);
    const before = this.#restoring;
    this.#restoring = before.then(() => this.#goBack(snapshot));
    await this.#restoring;
  }

  async #goBack({ content, takenAt }: Snapshot): Promise<void> {
    const { store, timekeeper, rollover, webhookService } = this.#dependencies;
    await Promise.all([rollover.pause(), webhookService.pause()]);
    store.transaction(() => {
      store.load(content);
      timekeeper.set(takenAt);
    });
    webhookService.resume();
    rollover.resume();
  }
}
