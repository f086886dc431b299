import { setTimeout as wait } from "node:timers/promises";
import { type Clock, withRetry } from "../core/retry.ts";
import { isDstackError } from "../errors/index.ts";
import type { ChainClient } from "./client.ts";
import { translateChainError } from "./rpc-errors.ts";

export const systemClock: Clock = {
  now: () => performance.now(),
  async sleep(milliseconds, signal) {
    try {
      await wait(milliseconds, undefined, signal && { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};

/**
 * One JSON-RPC request, without retries. viem's own retry treats some refusals of a range as a busy endpoint and asks
 * for the same range three more times.
 */
export function requestOnce(
  client: ChainClient,
  call: { readonly method: string; readonly params: readonly unknown[] },
  signal?: AbortSignal,
): Promise<unknown> {
  const request = client.request as (call: object, options: object) => Promise<unknown>; // callers check the answer
  return request(call, { retryCount: 0, ...(signal !== undefined && { signal }) });
}

/** How long to wait before a retry. */
export interface RetryOptions {
  /** First pause; each following one is twice as long, up to 20 s. */
  readonly retryDelayMs: number;
  readonly signal?: AbortSignal | undefined;
}

export const defaultTries = 6;

/**
 * Repeats a read until it succeeds, for temporary errors.
 *
 * @throws RpcUnavailableError after several failures, other errors at once, the signal's reason
 */
export function withRpcRetry<Result>(
  client: ChainClient,
  { retryDelayMs, signal }: RetryOptions,
  doing: string,
  read: () => Promise<Result>,
  mostTries = defaultTries,
): Promise<Result> {
  const pauseAfter = (cause: unknown, tries: number) => {
    const error = translateChainError(client, cause, doing);
    if (!(isDstackError(error) && error.retryable) || tries >= mostTries) throw error;
    return retryPause(retryDelayMs, tries);
  };
  return withRetry({ clock: systemClock, signal, pauseAfter }, read);
}

const longestPauseMs = 20_000;
/**
 * Longest wait that an endpoint may request. Do not wait for a quota that renews tomorrow; the tries end before that.
 */
const longestAskedMs = 60_000;

/**
 * Milliseconds to wait after failed try number `tries` (from 1): at least as long as the endpoint asked, up to a limit.
 * The pause is partly random, so that several requests refused together are not repeated at the same moment.
 */
export function retryPause(retryDelayMs: number, tries: number, retryAfterMs = 0): number {
  const grown = Math.min(longestPauseMs, retryDelayMs * 2 ** (tries - 1));
  return Math.max(Math.min(retryAfterMs, longestAskedMs), grown * (0.75 + Math.random() / 2));
}
