import type { ChainClient } from "../chain/client.ts";
import { systemClock } from "../chain/retry.ts";
import type { Clock } from "../core/retry.ts";
import { isDstackError } from "../errors/index.ts";
import type { FoundOperation } from "./timelock-find.ts";
import { readTimelock } from "./timelock-operation.ts";

const longestPauseMs = 60_000;
/** An endpoint may fail for some time during a wait of days. */
const mostFailures = 30;

export interface WaitUntilReadyParameters {
  readonly signal?: AbortSignal | undefined;
  /** @default the system's */
  readonly clock?: Pick<Clock, "sleep"> | undefined;
}

/**
 * Waits until an operation may be executed, by the time of the chain. Returns it as the chain then shows it; it may have
 * been cancelled or executed meanwhile.
 *
 * @throws RpcUnavailableError if the endpoint fails again and again; the signal's reason
 */
export async function waitUntilReady(
  client: ChainClient,
  found: FoundOperation,
  { signal, clock = systemClock }: WaitUntilReadyParameters = {},
): Promise<FoundOperation> {
  const { timelock, id } = found;
  let now = found;
  let failures = 0;
  while (now.state === "waiting" && now.readyAt !== undefined) {
    const leftMs = Number(now.readyAt - now.status.blockTime) * 1000;
    await clock.sleep(Math.min(Math.max(leftMs, 1_000), longestPauseMs), signal);
    try {
      const status = await readTimelock(client, { timelock, ids: [id] });
      failures = 0;
      now = { ...now, status, ...status.operations[0] };
    } catch (error) {
      failures += 1;
      if (!isDstackError(error) || !error.retryable || failures >= mostFailures) throw error;
    }
  }
  return now;
}
