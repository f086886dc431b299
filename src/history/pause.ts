import { setTimeout as sleep } from "node:timers/promises";

const longestPauseMs = 20_000;
/** A provider whose quota is back tomorrow is not waited for; the tries end before that. */
const longestAskedMs = 60_000;

/** How to wait before asking again. */
export interface Patience {
  /** First pause; every further one is twice as long, up to 20 s. */
  readonly retryDelayMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits before try number `tries` (from 1), at least as long as the endpoint asked, within reason. A part is left to
 * chance, so that several requests refused together do not come back together.
 *
 * @throws the signal's reason
 */
export async function pause({ retryDelayMs, signal }: Patience, tries: number, retryAfterMs = 0): Promise<void> {
  const grown = Math.min(longestPauseMs, retryDelayMs * 2 ** (tries - 1));
  const ms = Math.max(Math.min(retryAfterMs, longestAskedMs), grown * (0.75 + Math.random() / 2));
  await sleep(ms, undefined, { signal }).catch(() => {
    throw signal?.reason;
  });
}
