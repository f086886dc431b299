import type { ChainClient } from "../chain/client.ts";
import { translateChainError } from "../chain/rpc-errors.ts";
import { isDstackError } from "../errors/index.ts";
import { type Patience, pause } from "./pause.ts";

const mostTries = 6;

/**
 * One JSON-RPC request, sent once. viem would repeat it by itself: it takes some refusals of a range for a busy
 * endpoint and asks for the same range three more times.
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
 * Runs a read until it succeeds, for faults that may pass.
 *
 * @throws RpcUnavailableError once it failed several times, other errors at once, the signal's reason
 */
export async function patiently<result>(
  patience: Patience,
  doing: string,
  read: () => Promise<result>,
  triesAtMost = mostTries,
): Promise<result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await read();
    } catch (cause) {
      patience.signal?.throwIfAborted();
      const error = translateChainError(cause, doing);
      if (!(isDstackError(error) && error.retryable) || tries >= triesAtMost) throw error;
      await pause(patience, tries);
    }
  }
}
