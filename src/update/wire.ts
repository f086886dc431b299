import { setTimeout as sleep } from "node:timers/promises";
import { type Account, type Address, createClient, custom } from "viem";
import type { ChainClient } from "../chain/client.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { createReporter, type UpdateEvent } from "./events.ts";
import type { Clock, JournalPort } from "./ports.ts";
import {
  defaultUpdateSettings,
  type UpdateRequest,
  type UpdateRun,
  type UpdateSettings,
  type UpdateTimeouts,
} from "./update-run.ts";
import { wireChain } from "./wire-chain.ts";
import { wireCloud } from "./wire-cloud.ts";

export interface UpdateCvmParameters extends UpdateRequest, Partial<Omit<UpdateSettings, "timeouts">> {
  readonly cloud: CloudClient;
  /**
   * Any viem client of the app's chain. Without an account nothing can be paid, which some updates do not need. Left out
   * only for a CVM whose KMS keeps its policy off chain: with a chain, the cloud's word that there is no contract is refused.
   */
  readonly chain?: ChainClient | undefined;
  /** Who signs and pays; a bare address is one whose key the node holds. @default the chain client's account */
  readonly account?: Account | Address | undefined;
  /** From `openJournal`: where an interrupted update is taken up again. */
  readonly journal: JournalPort;
  readonly timeouts?: Partial<UpdateTimeouts> | undefined;
  /** Told what happens, as it happens. */
  readonly onStep?: ((event: UpdateEvent) => void) | undefined;
  /** Stops the update between two steps, or while it waits. Calling again with the same journal goes on from there. */
  readonly signal?: AbortSignal | undefined;
}

/** Connects an update with the real chain, cloud and clock. */
export function wireUpdate(parameters: UpdateCvmParameters): UpdateRun {
  const { cloud, chain, account, journal, onStep, signal, timeouts, ...request } = parameters;
  const reporter = createReporter(clock.now, onStep);
  const { confirmations, waitForRollover, pollCloudMs, pollChainMs } = {
    ...defaultUpdateSettings,
    ...withoutUndefined(parameters),
  };
  return {
    request,
    settings: {
      confirmations,
      waitForRollover,
      pollCloudMs,
      pollChainMs,
      timeouts: { ...defaultUpdateSettings.timeouts, ...withoutUndefined(timeouts ?? {}) },
    },
    reporter,
    signal,
    clock,
    journal,
    cloud: wireCloud(cloud, reporter, clock.now),
    isChainNamed: chain !== undefined,
    chain: wireChain(chain ?? noChain(), account),
  };
}

/** For CVMs without a contract: their updates ask no chain. */
function noChain(): ChainClient {
  const request = () => Promise.reject(new Error("No chain was given for this update."));
  return createClient({ transport: custom({ request }, { retryCount: 0 }) });
}

const clock: Clock = {
  now: () => performance.now(),
  async sleep(milliseconds, signal) {
    try {
      await sleep(milliseconds, undefined, signal && { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};

function withoutUndefined<Values extends object>(values: Values): Partial<Values> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<Values>; // same keys, fewer
}
