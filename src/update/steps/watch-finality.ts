import type { CvmSnapshot } from "../ports.ts";
import type { UpdateRun } from "../run.ts";

export interface FinalityWatch {
  /** Call it after each look at the CVM. @throws RpcUnavailableError */
  look(cvm: CvmSnapshot): Promise<void>;
  /** How long the cloud has waited for the chain, in ms. The time does not count as time of an operation. */
  readonly waitedMs: number;
}

/**
 * Watches how long the cloud waits until the registration of an update is final. The chain decides how long it may: until
 * the block that was the latest at the first look has reached the stage. An endpoint that does not know the stage, or
 * whose stage stands still, ends the wait by time.
 */
export function watchFinality({ chain, clock, emitter, isChainNamed }: UpdateRun): FinalityWatch {
  let first: { readonly at: number; readonly block: bigint } | undefined;
  let waitedMs = 0;
  return {
    get waitedMs() {
      return waitedMs;
    },
    async look({ awaitedTag: tag }) {
      if (tag === undefined || !isChainNamed) return;
      const { latestBlock, taggedBlock, typicalMs, longestMs } = await chain.readStage(tag);
      if (first === undefined) {
        first = { at: clock.now(), block: latestBlock };
        const { step } = emitter;
        const event = { kind: "awaitingFinality", tag, blockNumber: latestBlock, typicalMs } as const;
        if (step !== undefined) emitter.emit({ ...event, step });
      }
      const sinceMs = clock.now() - first.at;
      const isReached = taggedBlock === undefined ? sinceMs >= typicalMs : taggedBlock >= first.block;
      if (!isReached) waitedMs = Math.min(sinceMs, longestMs);
    },
  };
}
