import { ApiError } from "../errors.ts";
import type { Rollover } from "../rollover/rollover.ts";
import type { Timekeeper } from "../services/timekeeper.ts";
import type { StoreContent } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import type { WebhookService } from "../webhooks/webhook-service.ts";
import type { QuietTime } from "./quiet-time.ts";

export interface SnapshotsDependencies {
  readonly store: Store;
  readonly timekeeper: Timekeeper;
  readonly rollover: Rollover;
  readonly webhookService: WebhookService;
  readonly quietTime: QuietTime;
  /** Awaited before the state is kept: others may keep theirs under the same id. */
  readonly onSnapshot: (id: string) => Promise<void> | void;
  /** Awaited while nothing is under way, before the cloud goes back. If it fails, the cloud stays as it is. */
  readonly onRestore: (id: string) => Promise<void> | void;
}

interface Snapshot {
  readonly content: StoreContent;
  readonly takenAt: number;
}

/** States of the backend to go back to, any number of times. They live in memory, as long as the cloud does. */
export class Snapshots {
  readonly #dependencies: SnapshotsDependencies;
  readonly #taken = new Map<string, Snapshot>();
  #count = 0;

  constructor(dependencies: SnapshotsDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Keeps all that is stored, and the time, while no request is being answered: what others keep under the same id is
   * of the same moment.
   *
   * @throws ApiError 503; what `onSnapshot` throws
   */
  async take(): Promise<string> {
    const { store, timekeeper, quietTime, onSnapshot } = this.#dependencies;
    this.#count += 1;
    const id = `snapshot_${this.#count}`;
    return quietTime.during(async () => {
      await onSnapshot(id);
      this.#taken.set(id, { content: store.dump(), takenAt: timekeeper.now() });
      return id;
    });
  }

  /**
   * Ends what is under way, goes back to the snapshot and its time, and takes up what was under way then. Requests
   * that came before are answered first, those that come meanwhile afterwards.
   *
   * @throws ApiError 404, 503; what `onRestore` throws
   */
  async restore(id: string): Promise<void> {
    const snapshot = this.#taken.get(id);
    if (!snapshot) throw new ApiError(404, undefined, `There is no snapshot ${id}.`);
    await this.#dependencies.quietTime.during(() => this.#goBack(id, snapshot));
  }

  async #goBack(id: string, { content, takenAt }: Snapshot): Promise<void> {
    const { store, timekeeper, rollover, webhookService, onRestore } = this.#dependencies;
    await Promise.all([rollover.pause(), webhookService.pause()]);
    try {
      await onRestore(id);
      store.transaction(() => {
        store.load(content);
        timekeeper.set(takenAt);
      });
    } finally {
      webhookService.resume();
      rollover.resume();
    }
  }
}
