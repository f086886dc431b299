import type { ChainClient } from "../chain/client.ts";
import { defaultTries, type RetryOptions, retryPause, systemClock } from "../chain/retry.ts";
import { errorChain, errorText, hideSecrets, type RpcSource, translateChainError } from "../chain/rpc-errors.ts";
import { withRetry } from "../core/retry.ts";
import type { BlockRange } from "./block-ranges.ts";

export interface Refusal {
  /**
   * - `tooMuch`: fewer blocks may pass, the same ones never will;
   * - `busy`: the same request may pass later;
   * - `unclear`: either of them;
   * - `silent`: no answer, or an unreadable one;
   * - `gone`: the endpoint keeps no logs of these blocks;
   * - `unsupported`: no such request ever passes.
   */
  readonly kind: "tooMuch" | "busy" | "unclear" | "silent" | "gone" | "unsupported";
  /** How long the endpoint asks the caller to wait. */
  readonly retryAfterMs: number | undefined;
  /** A number of blocks that the endpoint says would pass, always smaller than the requested number. */
  readonly suggestedBlocks: bigint | undefined;
  /** The endpoint's message, without secrets. */
  readonly answer: string;
}

// Codes and words as providers use them in 2026. One code means different things at different providers (-32005 is both
// "too many results" and "too many requests"), so the message decides if there is one.
const tooMuchCodes = new Set([-32602, -32600, -32614, -32062]);
const busyCodes = new Set([429, -32007, -32016, -32029]);
const unsupportedCodes = new Set([-32601, -32004, 4200]);
const prunedHistoryCode = 4444;

const busyWords =
  /rate.?limit|too many requests|requests? (?:limit|per)|per second|throttl|compute units|capacity|quota|daily|credits|(?:try|retry) (?:again|later|after|in)|temporarily|overloaded|currently healthy/i;
/** A backend behind a load balancer that has not received the newest blocks yet. */
const laggingWords =
  /header not found|unknown block|block not found|beyond (?:the )?(?:current |latest )?head|after last (?:accepted|finalized)|future block|not yet available/i;
const tooMuchWords =
  /block range|range (?:is )?(?:too|limit|exceed)|(?:limited to|up to|maximum of|max(?:imum)?) .*(?:blocks?|range|results|logs)|more than [\d,]+|too (?:large|wide|big|many (?:blocks|logs|results|events|topics))|max(?:imum)? (?:allowed|block|results|logs|range)|(?:response|result|payload|batch) .*(?:size|large|too big|exceed)|exceeds? .*(?:results|range|blocks|size)|time(?:d)? ?out|narrow|smaller range|\d+[- ]block/i;
const goneWords =
  /\bpruned\b|history (?:is )?(?:not available|unavailable)|no longer (?:available|stored)|archive (?:node|data|access)/i;
/** anvil's, for a block whose state it does not keep, and for a block that is not there yet. */
const outOfRange = /block height is (\d+) but requested was (\d+)/;
const keyWords = /api.?key|personal token|(?:free|your) (?:plan|tier)|unauthori[sz]ed|not authori[sz]ed|authenticat/i;
const tooMuchStatus = new Set([413]);
const busyStatus = new Set([403, 425, 429, 502, 503]);
const unsupportedStatus = new Set([401, 402, 404, 405]);

/** Classifies a failed request for the logs of `asked`. */
export function classifyRefusal(source: RpcSource | undefined, error: unknown, asked: BlockRange): Refusal {
  const chain = errorChain(error);
  const code = numberIn(chain, "code");
  const status = numberIn(chain, "status");
  // Use the node's message only: viem's own messages repeat the request, and its block numbers are no suggestion.
  const words = chain[0] === undefined ? String(error) : errorText(chain[0]);
  return {
    kind: kindOf({ code, status, words, names: chain.map((link) => String(Reflect.get(link, "name"))) }),
    retryAfterMs: retryAfterOf(chain, words),
    suggestedBlocks: suggestionIn(words, asked),
    answer: hideSecrets(source, error, words).slice(0, 300),
  };
}

interface ErrorDetails {
  readonly code: number | undefined;
  readonly status: number | undefined;
  readonly words: string;
  readonly names: readonly string[];
}

function kindOf({ code, status, words, names }: ErrorDetails): Refusal["kind"] {
  if (names.includes("ResponseBodyTooLargeError")) return "tooMuch";
  if (names.includes("TimeoutError")) return "unclear";
  const isTooMuch = tooMuchWords.test(words);
  const isBusy = busyWords.test(words) || laggingWords.test(words);
  if (status !== undefined) {
    if (tooMuchStatus.has(status)) return "tooMuch";
    if (unsupportedStatus.has(status)) return "unsupported";
    if (busyStatus.has(status)) return isTooMuch ? "unclear" : "busy";
  }
  if (code !== undefined && busyCodes.has(code)) return isTooMuch ? "unclear" : "busy";
  if (isTooMuch) return isBusy ? "unclear" : "tooMuch";
  if (code === prunedHistoryCode || goneWords.test(words)) return "gone";
  const [, height, requested] = outOfRange.exec(words) ?? [];
  if (height !== undefined) return BigInt(requested ?? 0) > BigInt(height) ? "busy" : "gone";
  if (isBusy) return "busy";
  if (code === undefined) return "silent";
  if (unsupportedCodes.has(code) || keyWords.test(words)) return "unsupported";
  return tooMuchCodes.has(code) ? "tooMuch" : "unclear";
}

function numberIn(chain: readonly object[], field: "code" | "status"): number | undefined {
  return chain
    .map((link): unknown => Reflect.get(link, field))
    .find((value): value is number => typeof value === "number" && value !== -1); // viem's "unknown error"
}

/** Seconds or a date in a header, or seconds in the message. viem keeps headers only without a JSON-RPC error. */
function retryAfterOf(chain: readonly object[], words: string): number | undefined {
  for (const link of chain) {
    const headers: unknown = Reflect.get(link, "headers");
    const value = headers instanceof Headers ? headers.get("retry-after") : null;
    if (value === null) continue;
    const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
    if (Number.isFinite(ms)) return Math.max(0, ms);
  }
  const [, number, unit] = /(?:retry|again) (?:after|in) (\d+(?:\.\d+)?) ?(ms|s\b|sec)/i.exec(words) ?? [];
  return number === undefined ? undefined : Number(number) * (unit === "ms" ? 1 : 1000);
}

/**
 * The widest range that the message offers, as `[0x…, 0x…]` or as a number. Some providers suggest the range they just
 * refused, and a number may also be a number of results. Therefore only a number smaller than `asked` counts.
 */
function suggestionIn(words: string, { fromBlock, toBlock }: BlockRange): bigint | undefined {
  const asked = toBlock - fromBlock + 1n;
  const isUsable = (blocks: bigint) => blocks > 0n && blocks < asked;
  const [, first, last] = /\[\s*(0x[\da-f]+)\s*,\s*(0x[\da-f]+)\s*\]/i.exec(words) ?? [];
  if (first !== undefined && last !== undefined) {
    const blocks = BigInt(last) - BigInt(first) + 1n;
    return isUsable(blocks) ? blocks : undefined;
  }
  const numbers = [...words.matchAll(/(?<![\w.-])(\d{1,3}(?:,\d{3})+|\d{1,9})(k)?(?![\w.])/gi)]
    .map(([, digits = "", thousands]) => BigInt(digits.replaceAll(",", "")) * (thousands === undefined ? 1n : 1000n))
    .filter((number) => number !== fromBlock && number !== toBlock && isUsable(number));
  return numbers.length === 0 ? undefined : numbers.reduce((one, other) => (one > other ? one : other));
}

export interface RetryUnlessRefusedParameters<Result> extends RetryOptions {
  /** The block whose state is read. */
  readonly block: bigint;
  /** For the error: what is being read. */
  readonly doing: string;
  /** A refusal other than `gone` may also be a temporary error: after this many tries it counts as an answer. @default 1 */
  readonly mostDoubts?: number;
  readonly onRefusal: (refusal: Refusal) => Result;
}

/**
 * Repeats a read of a block's state while the endpoint is busy or silent. Any other refusal is a result: many endpoints
 * do not serve old state.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export function retryUnlessRefused<Result>(
  client: ChainClient,
  parameters: RetryUnlessRefusedParameters<Result>,
  read: () => Promise<Result>,
): Promise<Result> {
  const { block, doing, mostDoubts = 1, onRefusal, retryDelayMs, signal } = parameters;
  const classify = (error: unknown) => classifyRefusal(client, error, { fromBlock: block, toBlock: block });
  const pauseAfter = (error: unknown, tries: number) => {
    if (tries >= defaultTries) throw translateChainError(client, error, doing);
    return retryPause(retryDelayMs, tries, classify(error).retryAfterMs);
  };
  return withRetry({ clock: systemClock, signal, pauseAfter }, async (tries) => {
    try {
      return await read();
    } catch (error) {
      signal?.throwIfAborted();
      const refusal = classify(error);
      const isFault = refusal.kind === "busy" || refusal.kind === "silent";
      if (isFault || (refusal.kind !== "gone" && tries < mostDoubts)) throw error;
      return onRefusal(refusal);
    }
  });
}
