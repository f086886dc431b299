/** The results that an endpoint may give for a method. Methods that are not listed are checked where they are used. */
const shapes: Readonly<Record<string, (result: unknown) => boolean>> = {
  eth_accounts: listOf(isAddress),
  eth_blockNumber: isQuantity,
  eth_call: isData,
  eth_chainId: isQuantity,
  eth_estimateGas: isQuantity,
  eth_gasPrice: isQuantity,
  eth_getBalance: isQuantity,
  eth_getBlockByHash: orNull(isBlock),
  eth_getBlockByNumber: orNull(isBlock),
  eth_getCode: isData,
  // Each log is checked where it is read: there can be many.
  eth_getLogs: Array.isArray,
  eth_getStorageAt: isQuantity,
  eth_getTransactionByHash: orNull(isTransaction),
  eth_getTransactionCount: isQuantity,
  eth_getTransactionReceipt: orNull(isReceipt),
  eth_maxPriorityFeePerGas: isQuantity,
};

/**
 * Whether a result has the shape that callers rely on. An endpoint with a fault, or a proxy before it, may answer with
 * anything, and another answer may be right.
 */
export function isResultOf(method: string, result: unknown, params?: readonly unknown[]): boolean {
  if (result === null && method === "eth_getBlockByNumber" && blocksOfEveryChain.has(params?.[0])) return false;
  return !Object.hasOwn(shapes, method) || shapes[method]?.(result) === true;
}

const blocksOfEveryChain: ReadonlySet<unknown> = new Set(["0x0", "earliest", "latest"]);

type Fields<Name extends string> = { readonly [name in Name]?: unknown };

function isBlock(value: unknown): boolean {
  const { hash, number, parentHash, timestamp, baseFeePerGas } = Object(value) as Fields<
    "hash" | "number" | "parentHash" | "timestamp" | "baseFeePerGas"
  >;
  const isMined = isHash(hash) && isQuantity(number);
  const isPending = hash === null || number === null;
  return (isMined || isPending) && isHash(parentHash) && isQuantity(timestamp) && isOptional(isQuantity)(baseFeePerGas);
}

function isTransaction(value: unknown): boolean {
  const { hash, from, to, nonce, input, blockNumber } = Object(value) as Fields<
    "hash" | "from" | "to" | "nonce" | "input" | "blockNumber"
  >;
  const hasSender = isAddress(from) && isOptional(isAddress)(to) && isQuantity(nonce);
  return isHash(hash) && hasSender && isData(input) && isOptional(isQuantity)(blockNumber);
}

/** A receipt of a pending block has no block number. */
function isReceipt(value: unknown): boolean {
  const { transactionHash, blockHash, blockNumber, status, gasUsed, logs } = Object(value) as Fields<
    "transactionHash" | "blockHash" | "blockNumber" | "status" | "gasUsed" | "logs"
  >;
  const isPlaced = blockNumber === null || (isQuantity(blockNumber) && isHash(blockHash));
  const hasOutcome = (status === "0x0" || status === "0x1") && isQuantity(gasUsed);
  return isHash(transactionHash) && isPlaced && hasOutcome && listOf(isLog)(logs);
}

function isLog(value: unknown): boolean {
  const { address, topics, data } = Object(value) as Fields<"address" | "topics" | "data">;
  return isAddress(address) && listOf(isHash)(topics) && isData(data);
}

function listOf(isItem: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => Array.isArray(value) && value.every(isItem);
}

function orNull(is: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => value === null || is(value);
}

function isOptional(is: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => value === undefined || value === null || is(value);
}

/** A number or a word of storage, which some nodes pad with zeros: at most 32 bytes. */
function isQuantity(value: unknown): boolean {
  return typeof value === "string" && /^0x[0-9a-f]{1,64}$/i.test(value);
}

function isData(value: unknown): boolean {
  return typeof value === "string" && /^0x(?:[0-9a-f]{2})*$/i.test(value);
}

function isHash(value: unknown): boolean {
  return typeof value === "string" && /^0x[0-9a-f]{64}$/i.test(value);
}

function isAddress(value: unknown): boolean {
  return typeof value === "string" && /^0x[0-9a-f]{40}$/i.test(value);
}
