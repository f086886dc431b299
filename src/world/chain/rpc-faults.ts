import { isHex, parseTransaction } from "viem";
import { createSecretCleaner, hideLikelySecrets } from "../../core/secrets.ts";

const longestMessage = 1000;

/**
 * Cleans the errors of a fork. EDR repeats the upstream endpoint's URL in them and what that endpoint says, and callers
 * of the chain have no business with the key that either may hold.
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

  /** Return data stays as it is: it comes from the chain, and callers decode it. */
  function deeply(data: unknown): unknown {
    if (typeof data === "string") return /^0x[0-9a-f]*$/i.test(data) ? data : clean(data);
    if (Array.isArray(data)) return data.map(deeply);
    if (typeof data !== "object" || data === null) return data;
    return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, deeply(value)]));
  }
}

/** Which parameter is a time or a span of time, in seconds. */
const timeParameters: Readonly<Record<string, number>> = {
  evm_increaseTime: 0,
  evm_setNextBlockTimestamp: 0,
  evm_mine: 0,
  hardhat_mine: 1,
};
/** The year 5138. */
const latestTime = 100_000_000_000n;
/** They are mined one after the other, and each stays in memory. */
const mostBlocks = 10_000n;
/** No chain has as much wei. Amount and cost of a transaction, added up, have to fit 256 bits. */
const largestAmount = 2n ** 128n - 1n;
/** 256 bits in decimal digits. Reading millions of digits takes seconds. */
const longestQuantity = 78;
const amounts = ["value", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas"] as const;

/**
 * Refuses calls that make EDR abort the process, or take for ever: a block whose time exceeds 64 bits (then or by a
 * later call), an amount and a fee whose sum exceeds 256, blocks without end. EDR itself refuses the rest.
 *
 * @throws Error with the code of an invalid parameter
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

/** What is no whole number exceeds nothing, and is left for EDR to refuse. */
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
