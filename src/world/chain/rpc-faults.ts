import { isHex, parseTransaction } from "viem";
import { createSecretCleaner, hideLikelySecrets } from "../../core/secrets.ts";

const longestMessage = 1000;

/**
 * Removes secrets from the errors of a fork. EDR's errors contain the upstream endpoint's URL and messages. Either may
 * contain an API key, which callers of the chain must not see.
 */
export function createForkErrorCleaner(forkUrl: string): (error: unknown) => Error {
  const cleaner = createSecretCleaner([{ url: forkUrl, hidesHost: true }]);
  const clean = (text: string) =>
    hideLikelySecrets(cleaner.clean(text.replace(/\b(?:https?|wss?):\/\/[^\s"'<>]+/gi, "[url]"))).slice(
      0,
      longestMessage,
    );
  return (error) => {
    const {
      code,
      data,
      message = String(error),
    } = Object(error) as { code?: unknown; data?: unknown; message?: string };
    const copy = new Error(clean(message));
    return Object.assign(copy, {
      ...(code !== undefined && { code }),
      ...(data !== undefined && { data: deeply(data) }),
    });
  };

  /** Hex data stays unchanged: it comes from the chain, and callers decode it. */
  function deeply(data: unknown): unknown {
    if (typeof data === "string") return /^0x[0-9a-f]*$/i.test(data) ? data : clean(data);
    if (Array.isArray(data)) return data.map(deeply);
    if (typeof data !== "object" || data === null) return data;
    return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, deeply(value)]));
  }
}

/** Position of the parameter that is a time or a duration, in seconds. */
const timeParameters: Readonly<Record<string, number>> = {
  evm_increaseTime: 0,
  evm_setNextBlockTimestamp: 0,
  evm_mine: 0,
  hardhat_mine: 1,
};
/** The year 5138. */
const latestTime = 100_000_000_000n;
/** Limit, because blocks are mined one after the other and each stays in memory. */
const mostBlocks = 10_000n;
/** No chain has this much wei. The sum of a transaction's amount and cost must fit 256 bits. */
const largestAmount = 2n ** 128n - 1n;
/** Decimal digits of 256 bits. Parsing millions of digits would take seconds. */
const longestQuantity = 78;
const amounts = ["value", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas"] as const;

/**
 * Refuses calls that make EDR abort the process or run without end: a block time over 64 bits (now or after a later
 * call), an amount plus fee over 256 bits, too many blocks. EDR itself refuses other invalid calls.
 *
 * @throws Error with the JSON-RPC code for invalid parameters
 */
export function refuseFatalCall(method: string, params: readonly unknown[]): void {
  const timeAt = Object.hasOwn(timeParameters, method) ? timeParameters[method] : undefined;
  if (timeAt !== undefined && exceeds(params[timeAt], latestTime)) {
    throw invalidParameter(`A time has at most ${latestTime} seconds.`);
  }
  if (method === "hardhat_mine" && exceeds(params[0], mostBlocks)) {
    throw invalidParameter(`At most ${mostBlocks} blocks are mined at once.`);
  }
  const transactions = method === "eth_sendRawTransaction" ? params.map(tryParse) : params;
  for (const transaction of transactions) {
    const fields = Object(transaction) as Record<string, unknown>;
    const wrong = amounts.find((field) => exceeds(fields[field], largestAmount));
    if (wrong !== undefined) throw invalidParameter(`${wrong} is more than any account can have.`);
  }
}

/** A value that is not a whole number returns false, so EDR refuses it. */
function exceeds(raw: unknown, limit: bigint): boolean {
  if (typeof raw === "number" || typeof raw === "bigint") return raw > limit;
  if (typeof raw !== "string" || !/^(?:0x[0-9a-f]+|\d+)$/i.test(raw)) return false;
  return raw.length > longestQuantity || BigInt(raw) > limit;
}

function tryParse(raw: unknown): unknown {
  try {
    return isHex(raw) ? parseTransaction(raw) : undefined;
  } catch {
    return undefined;
  }
}

function invalidParameter(message: string): Error {
  return Object.assign(new Error(message), { code: -32_602 });
}
