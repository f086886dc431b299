export interface RetrySettings {
  /** Attempts in all, the first included. */
  readonly attempts: number;
  /** Pause after the first failed attempt; doubles with each further one. */
  readonly baseDelayMs: number;
  /** No pause is longer. A `Retry-After` beyond it ends the attempts instead. */
  readonly maxDelayMs: number;
}

export const defaultRetrySettings: RetrySettings = { attempts: 5, baseDelayMs: 500, maxDelayMs: 20_000 };

export type HttpMethod = "GET" | "POST" | "PATCH";

export type Failure =
  | { readonly kind: "network" }
  | {
      readonly kind: "status";
      readonly status: number;
      readonly hasErrorCode: boolean;
      /** Of the `Retry-After` header, if it was there and readable. */
      readonly retryAfterMs: number | undefined;
    };

export interface FailedAttempt {
  readonly method: HttpMethod;
  /** 1 for the first. */
  readonly attempt: number;
  readonly failure: Failure;
  /** A number in [0, 1): spreads clients that failed together. */
  readonly random: number;
}

/** How long to wait before the next attempt, or `undefined` to give up. */
export function planRetry(failed: FailedAttempt, settings: RetrySettings): number | undefined {
  if (failed.attempt >= settings.attempts || !mayRepeat(failed.method, failed.failure)) return undefined;
  const asked = failed.failure.kind === "status" ? failed.failure.retryAfterMs : undefined;
  if (asked !== undefined) return asked <= settings.maxDelayMs ? asked : undefined;
  const doubled = Math.min(settings.baseDelayMs * 2 ** (failed.attempt - 1), settings.maxDelayMs);
  return doubled * (0.5 + failed.random / 2);
}

function mayRepeat(method: HttpMethod, failure: Failure): boolean {
  if (method === "GET") return failure.kind === "network" || [429, 502, 503, 504].includes(failure.status);
  // A change whose answer was lost may have happened; these answers say that it has not.
  if (failure.kind === "network") return false;
  return (
    failure.status === 429 ||
    (failure.status === 409 && !failure.hasErrorCode) ||
    (failure.status === 503 && failure.retryAfterMs !== undefined)
  );
}

/** Milliseconds a `Retry-After` header asks for, given as seconds or as a date. */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = /^[A-Z][a-z]{2},/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
