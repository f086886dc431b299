import { setTimeout as sleep } from "node:timers/promises";
import type { ChainClient } from "../chain/client.ts";
import { translateChainError } from "../chain/rpc-errors.ts";
import { isDstackError } from "../errors/index.ts";

const mostTries = 6;

/**
 * One JSON-RPC request, without retries. viem's own retry treats some refusals of a range as a busy endpoint and asks
 * for the same range three more times.
 */
export function ask(
  client: ChainClient,
  call: { readonly method: string; readonly params: readonly unknown[] },
  signal?: AbortSignal,
): Promise<unknown> {
  const request = client.request as (call: object, options: object) => Promise<unknown>; // callers check the answer
  return request(call, { retryCount: 0, ...(signal !== undefined && { signal }) });
}

/**
 * Repeats a read until it succeeds, for temporary errors.
 *
 * @throws RpcUnavailableError after several failures, other errors at once, the signal's reason
 */
export async function withRetry<result>(
  client: ChainClient,
  retry: RetryOptions,
  doing: string,
  read: () => Promise<result>,
  triesAtMost = mostTries,
): Promise<result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await read();
    } catch (cause) {
      retry.signal?.throwIfAborted();
      const error = translateChainError(client, cause, doing);
      if (!(isDstackError(error) && error.retryable) || tries >= triesAtMost) throw error;
      await pause(retry, tries);
    }
  }
}

const longestPauseMs = 20_000;
/**
 * Longest wait that an endpoint may request. Do not wait for a quota that renews tomorrow; the tries end before that.
 */
const longestAskedMs = 60_000;

/** How long to wait before a retry. */
export interface RetryOptions {
  /** First pause; each following one is twice as long, up to 20 s. */
  readonly retryDelayMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits before try number `tries` (from 1), at least as long as the endpoint asked, up to a limit. The pause is partly
 * random, so that several requests refused together are not repeated at the same moment.
 *
 * @throws the signal's reason
 */
export async function pause({ retryDelayMs, signal }: RetryOptions, tries: number, retryAfterMs = 0): Promise<void> {
  const grown = Math.min(longestPauseMs, retryDelayMs * 2 ** (tries - 1));
  const ms = Math.max(Math.min(retryAfterMs, longestAskedMs), grown * (0.75 + Math.random() / 2));
  await sleep(ms, undefined, { signal }).catch(() => {
    throw signal?.reason;
  });
}
