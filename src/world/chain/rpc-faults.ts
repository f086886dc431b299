import { isHex, parseTransaction } from "viem";
import { createSecretCleaner, hideLikelySecrets } from "../../core/secrets.ts";
import { l1BlockAddress } from "./predeploys.ts";

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

/** A parameter that is a number, and the most that EDR can take. */
interface Quantity {
  readonly most: bigint;
  readonly refusal: string;
}

/** The year 5138. */
const latestTime = 100_000_000_000n;
/** Limit, because blocks are mined one after the other and each stays in memory. */
const mostBlocks = 10_000n;
const seconds: Quantity = { most: latestTime, refusal: `A time is a number of at most ${latestTime} seconds.` };
const quantities: Readonly<Record<string, readonly Quantity[]>> = {
  evm_increaseTime: [seconds],
  evm_setNextBlockTimestamp: [seconds],
  evm_mine: [seconds],
  hardhat_mine: [{ most: mostBlocks, refusal: `There are at most ${mostBlocks} blocks to mine at once.` }, seconds],
  hardhat_setNextBlockBaseFeePerGas: [{ most: 2n ** 64n - 1n, refusal: "A base fee is a number of at most 64 bits." }],
};
const unsupported: Readonly<Record<string, string>> = {
  debug_traceCall: "debug_traceCall is not supported, because a trace of one call can fill the memory.",
  hardhat_setLoggingEnabled: "hardhat_setLoggingEnabled is not supported, because it prints to the standard output.",
};
/** EDR multiplies gas and price in 128 bits. No account of any chain has this much wei. */
const largestCost = 2n ** 127n - 1n;
/** The gas that EDR gives to a call without a limit, and the most that it allows. */
export const gasCap = 16_777_216n;
const prices = ["gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas"] as const;
/** The first slots of L1Block contain the L1 fees, which EDR multiplies for each transaction. */
const feeSlots = 16n;
/** These two contain several small numbers instead. EDR takes any value of them. */
const packedSlots = [3n, 8n];

/**
 * Refuses calls that make EDR abort the process, run without end or print: a block time or a fee over 64 bits (now or
 * after a later call), a cost over 128 bits, too many blocks. EDR itself refuses other invalid calls.
 *
 * @throws Error with the JSON-RPC code for invalid parameters, or for a method that is not supported
 */
export function refuseFatalCall(method: string, params: readonly unknown[]): void {
  const refusal = Object.hasOwn(unsupported, method) ? unsupported[method] : undefined;
  if (refusal !== undefined) throw rpcError(-32_004, refusal);
  const limits = Object.hasOwn(quantities, method) ? (quantities[method] ?? []) : [];
  for (const [index, { most, refusal }] of limits.entries()) {
    const raw = params[index] ?? undefined;
    const value = parseQuantity(raw);
    if (raw !== undefined && (value === undefined || value > most)) throw invalidParameter(refusal);
  }
  if (method === "hardhat_setStorageAt") refuseFatalStorage(params);
  const transactions = method === "eth_sendRawTransaction" ? params.map(tryParse) : params;
  for (const transaction of transactions) refuseFatalCost(Object(transaction));
  if ((method === "eth_call" || method === "eth_estimateGas") && names(params[2]).includes(l1BlockAddress)) {
    throw invalidParameter(`The state of ${l1BlockAddress} is not one that a call can override.`);
  }
}

/** Each amount must be within 256 bits, and what the transaction may cost within 127 bits. */
function refuseFatalCost(transaction: Readonly<Record<string, unknown>>): void {
  const amount = (field: string) => {
    const raw = transaction[field] ?? 0n;
    const value = typeof raw === "bigint" ? raw : parseAmount(raw);
    if (value === undefined) throw invalidParameter(`${field} is not a number of at most 256 bits.`);
    return value;
  };
  const price = prices.reduce((sum, field) => sum + amount(field), 0n);
  const value = amount("value");
  const gas = amount("gas");
  if ((gas > gasCap ? gas : gasCap) * price + value > largestCost) {
    throw invalidParameter("The value and the fee of this transaction are more than any account can have.");
  }
}

function refuseFatalStorage([address, slot, value]: readonly unknown[]): void {
  if (String(address).toLowerCase() !== l1BlockAddress) return;
  const index = parseAmount(slot) ?? 0n;
  const isFee = index < feeSlots && !packedSlots.includes(index);
  const fee = parseAmount(value);
  if (isFee && (fee === undefined || fee >= 2n ** 64n)) throw invalidParameter("An L1 fee is at most 64 bits.");
}

/** Blocks after the head. A client may ask for logs of blocks that come soon. */
const farthestAhead = 1_000_000n;
const longestSpan = 10_000_000n;
const blockTags = ["latest", "pending", "safe", "finalized"];

/**
 * Refuses a range of logs that EDR would read without end, because EDR reads each block of the range, even above the
 * head.
 *
 * @throws Error with the JSON-RPC code for invalid parameters
 */
export function refuseEndlessRange(filter: unknown, head: bigint): void {
  const { fromBlock, toBlock } = Object(filter) as Record<string, unknown>;
  const [from, to] = [fromBlock, toBlock].map((raw = "latest") => {
    const block = raw === null || blockTags.includes(String(raw)) ? head : raw === "earliest" ? 0n : parseQuantity(raw);
    if (block === undefined) throw invalidParameter("A block is a hexadecimal number or a tag.");
    if (block > head + farthestAhead) {
      throw invalidParameter(`The newest block is ${head}, more than ${farthestAhead} blocks before block ${block}.`);
    }
    return block;
  }) as [bigint, bigint]; // map keeps the length
  if (to - from > longestSpan) throw invalidParameter(`The block range is too large: at most ${longestSpan} blocks.`);
}

/**
 * Parses a count or a time: a whole JSON number, or 1 to 16 hexadecimal digits after `0x`. EDR and `BigInt` also accept
 * other forms, and do not agree on them.
 */
export function parseQuantity(raw: unknown): bigint | undefined {
  if (typeof raw === "number") return Number.isSafeInteger(raw) && raw >= 0 ? BigInt(raw) : undefined;
  return typeof raw === "string" && /^0x[0-9a-f]{1,16}$/i.test(raw) ? BigInt(raw) : undefined;
}

function parseAmount(raw: unknown): bigint | undefined {
  const isWord = typeof raw === "string" && /^0x[0-9a-f]{1,64}$/i.test(raw);
  return isWord ? BigInt(raw) : parseQuantity(raw);
}

function names(overrides: unknown): string[] {
  return Object.keys(Object(overrides)).map((name) => name.toLowerCase());
}

function tryParse(raw: unknown): unknown {
  try {
    return isHex(raw) ? parseTransaction(raw) : undefined;
  } catch {
    return undefined;
  }
}

function invalidParameter(message: string): Error {
  return rpcError(-32_602, message);
}

function rpcError(code: number, message: string): Error {
  return Object.assign(new Error(message), { code });
}
