import { type Abi, type Address, decodeErrorResult, type Hex, isHex } from "viem";
import { createSecretCleaner, hideLikelySecrets, secretsOfRequest } from "../core/secrets.ts";
import { cleanText, describeHttpAnswer, findNetworkFailure, type HttpAnswer, mediaTypeOf } from "../core/text.ts";
import { type DstackError, type EndpointFailure, isDstackError, RpcUnavailableError } from "../errors/index.ts";

/** What a node reported about a call that the EVM reverted. */
export interface Revert {
  /** Return data of the revert, if the node passed it on. */
  readonly data: Hex | undefined;
  /** Decoded custom error or revert text; otherwise the node's own message. */
  readonly reason: string | undefined;
  /** Name of the custom error, such as `OwnableUnauthorizedAccount`. */
  readonly errorName: string | undefined;
}

const revertCode = 3;
const refusals = /revert|out of gas|invalid opcode|stack (?:over|under)flow/i;
const longestReason = 200;

/**
 * Finds the revert in an error of a client library. Returns undefined if the node did not report one: an outage must
 * never look like a contract's answer. Nodes differ in the error code (3, -32000, -32603, -32015) and in where they put
 * the data, so this searches the whole chain of causes.
 */
export function findRevert(source: RpcSource | undefined, error: unknown, abi: Abi): Revert | undefined {
  const chain = errorChain(error);
  const data = chain.map(revertData).find((found) => found !== undefined && found !== "0x");
  const refused =
    chain.some((link) => link.code === revertCode) || chain.some((link) => refusals.test(errorText(link)));
  if (!refused && data === undefined) return undefined;
  const { errorName, reason } = explain(data, abi, chain);
  return {
    data,
    errorName,
    // A hostile contract can choose its revert text.
    reason: reason === undefined ? undefined : cleanText(createCleaner(source, error)(reason), longestReason),
  };
}

function explain(data: Hex | undefined, abi: Abi, chain: readonly ErrorLink[]): Omit<Revert, "data"> {
  if (data !== undefined) {
    try {
      const { errorName, args = [] } = decodeErrorResult({ abi, data });
      const isText = errorName === "Error";
      return {
        errorName: isText ? undefined : errorName,
        reason: isText ? String(args[0]) : `${errorName}(${args.join(", ")})`,
      };
    } catch {
      return { errorName: undefined, reason: `unknown error ${data.slice(0, 10)}` };
    }
  }
  const words = chain.map(errorText).findLast((text) => refusals.test(text));
  return { errorName: undefined, reason: words };
}

function revertData({ data }: ErrorLink): Hex | undefined {
  const raw = typeof data === "object" && data !== null && "data" in data ? data.data : data;
  return isHex(raw) ? raw : undefined;
}

/** The fields in which libraries and nodes report details. */
export interface ErrorLink {
  readonly code?: unknown;
  readonly data?: unknown;
  readonly details?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
}

const longestChain = 10;

/** Returns an error and its causes, outermost first. viem wraps the transport's error, which wraps the node's error. */
export function errorChain(error: unknown): readonly ErrorLink[] {
  const chain: ErrorLink[] = [];
  for (let link: unknown = error; isLink(link) && chain.length < longestChain; link = link.cause) chain.push(link);
  return chain;
}

/** Returns the node's message if viem kept it separate from its own; otherwise the error's message. */
export function errorText({ details, message }: ErrorLink): string {
  return [details, message].find((text) => typeof text === "string" && text !== "")?.toString() ?? "";
}

/** Whether the error or one of its causes has these words. */
export function says(error: unknown, words: RegExp): boolean {
  return errorChain(error).some((link) => words.test(errorText(link)));
}

function isLink(value: unknown): value is ErrorLink {
  return typeof value === "object" && value !== null;
}

/**
 * The client of a request. If its transport is viem's, the transport has the request's URL and headers. Their secrets
 * are removed from every text.
 */
export interface RpcSource {
  readonly transport: object;
}

/** What is wrong with an HTTP answer whose status is good. */
export class EndpointFault extends Error {
  override readonly name: "UnusableAnswer" | "ResponseBodyTooLargeError";
  readonly answer: HttpAnswer | undefined;
  constructor(name: EndpointFault["name"], problem: string, answer?: HttpAnswer) {
    super(problem);
    this.name = name;
    this.answer = answer;
  }
}

/** The time limit of a request has passed. viem repeats a request after every error except one with this name. */
export class EndpointTimeout extends DOMException {
  constructor(timeoutMs: number) {
    super(`no complete answer within ${timeoutMs / 1000} s`, "AbortError");
  }
}

/** Describes an HTTP error that is a redirect, with only the origin of its target. Undefined for other errors. */
function describeRedirect(error: object): string | undefined {
  const { status, headers, url } = error as { status?: unknown; headers?: unknown; url?: unknown };
  if (typeof status !== "number" || !isRedirect(status)) return undefined;
  const location = headers instanceof Headers ? headers.get("location") : null;
  const base = typeof url === "string" ? url : undefined;
  const target = location === null ? null : URL.parse(location, base);
  const where = target?.host ? ` to ${target.protocol}//${target.host}` : "";
  return `HTTP ${status}, a redirect${where}, which is not followed`;
}

export function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}

const longest = 200;

/** Returns a function that removes secrets from an endpoint's text. The endpoint may repeat the request's secrets. */
function createCleaner(source: RpcSource | undefined, error: unknown): (text: string) => string {
  return createSecretCleaner(secretsOfRequest(source?.transport, error)).clean;
}

/** Finds how an endpoint failed in the error of a client library: its HTTP answer, its message, or the network. */
export function findFailure(source: RpcSource | undefined, error: unknown): EndpointFailure {
  const chain = errorChain(error);
  const clean = (text: string) => hideSecrets(source, error, text);
  return (
    redirectIn(chain, createCleaner(source, error)) ??
    httpAnswerIn(chain, clean) ??
    messageIn(chain, clean) ??
    silenceIn(chain, error) ?? {
      said: chain.some((link) => link instanceof SyntaxError && link.message.includes("JSON")) ? "not JSON" : undefined,
    }
  );
}

function redirectIn(chain: readonly ErrorLink[], clean: (text: string) => string): EndpointFailure | undefined {
  const redirect = chain.find((link) => describeRedirect(link) !== undefined);
  if (redirect === undefined) return undefined;
  return { said: clean(describeRedirect(redirect) ?? ""), status: Number(Reflect.get(redirect, "status")) };
}

/** viem keeps the HTTP answer only if its status is bad; `httpEndpoint` keeps every answer that is no JSON-RPC. */
function httpAnswerIn(chain: readonly ErrorLink[], clean: (text: string) => string): EndpointFailure | undefined {
  for (const link of chain) {
    if (link instanceof EndpointFault && link.answer !== undefined) return describe(link.answer, link.message);
    const { status, headers, details } = link as ErrorLink & { readonly status?: unknown; readonly headers?: unknown };
    if (typeof status !== "number") continue;
    const contentType = headers instanceof Headers ? (headers.get("content-type") ?? undefined) : undefined;
    return describe({ status, contentType, body: typeof details === "string" ? details : "" });
  }
  return undefined;

  function describe(answer: HttpAnswer, problem?: string): EndpointFailure {
    const { status, contentType } = answer;
    return { said: describeHttpAnswer(answer, clean, problem), status, contentType: mediaTypeOf(contentType) };
  }
}

/** JSON-RPC errors have a numeric code; the innermost one comes from the endpoint. */
function messageIn(chain: readonly ErrorLink[], clean: (text: string) => string): EndpointFailure | undefined {
  const refusal =
    chain.findLast((link) => typeof link.code === "number" && !isDomException(link)) ?? chain.find(isOurs);
  if (refusal === undefined) return undefined;
  const said = cleanText(clean(errorText(refusal)))
    .slice(0, longest)
    .replace(/\.+$/, "");
  return said === "" ? undefined : { said };
}

/** True for the errors that this package throws for an unusable answer. Libraries set another name. */
function isOurs(link: object): boolean {
  return link instanceof EndpointFault || (Reflect.get(link, "name") === "Error" && !("code" in link));
}

/** Errors of `fetch` have numeric codes too. */
function isDomException(link: object): boolean {
  return link instanceof DOMException;
}

function silenceIn(chain: readonly ErrorLink[], error: unknown): EndpointFailure | undefined {
  const timeout = chain.find((link) => link instanceof EndpointTimeout || Reflect.get(link, "name") === "TimeoutError");
  if (timeout !== undefined) {
    const isOwn = timeout instanceof EndpointTimeout;
    return { reason: isOwn ? timeout.message : "no complete answer in time", failure: "TIMEOUT" };
  }
  const network = findNetworkFailure(error);
  return network && { reason: network.words, failure: network.code };
}

const longestMessage = 1000;

/**
 * Copies a client library's error without secrets, so that it is safe to log. RPC URLs contain API keys in their path,
 * query or user part, viem stores the whole URL on its errors, and some providers repeat the key in their answer.
 */
export function withoutSecrets(source: RpcSource | undefined, error: unknown): Error {
  const { name, message } = error instanceof Error ? error : { name: "Error", message: String(error) };
  const copy = new Error(hideSecrets(source, error, nodesWordsFirst(error, message)).slice(0, longestMessage));
  copy.name = name;
  return copy;
}

/** Removes the request's own secrets, and text that looks like a secret, from text of this error or about it. */
export function hideSecrets(source: RpcSource | undefined, error: unknown, text: string): string {
  return hideLikelySecrets(createCleaner(source, error)(text));
}

/** Puts the node's message first in a long text: viem puts it after the request, which alone can exceed the limit. */
function nodesWordsFirst(error: unknown, message: string): string {
  const { details } = Object(error) as { readonly details?: unknown };
  return message.length > longestMessage && typeof details === "string" ? `${details}\n${message}` : message;
}

/**
 * Runs one request and converts its failure into an error of this package. `doing` completes "… did not answer while
 * …", or "… gave no usable answer while …" followed by the endpoint's own message. Callers that expect a revert must
 * catch it themselves (`findRevert`).
 *
 * @throws RpcUnavailableError
 */
export async function withRpcErrors<result>(
  source: RpcSource,
  doing: string,
  request: () => Promise<result>,
): Promise<result> {
  try {
    return await request();
  } catch (error) {
    throw translateChainError(source, error, doing);
  }
}

/**
 * Converts an error of an endpoint (down, slow, rate limited, or a faulty answer). Returns errors of this package
 * unchanged.
 */
export function translateChainError(source: RpcSource | undefined, error: unknown, doing: string): DstackError {
  if (isDstackError(error)) return error;
  return new RpcUnavailableError(doing, {
    cause: withoutSecrets(source, error),
    ...findFailure(source, error),
  });
}

/** A viem client. */
interface RequestingClient extends RpcSource {
  readonly request: unknown;
}

/** A call whose result is hex. */
export type HexRequest =
  | {
      readonly method: "eth_getCode" | "eth_getStorageAt";
      readonly params: readonly [address: Address, slotOrBlock: string, block?: string];
    }
  | { readonly method: "eth_call"; readonly params: readonly [call: object, block: string, overrides: object] };

/**
 * Sends a request whose answer must be hex of the method's width. A proxy may answer 200 with other JSON, which a client
 * library would read as "no code" or "zero".
 *
 * @throws RpcUnavailableError
 */
export async function requestHex(client: RequestingClient, doing: string, call: HexRequest): Promise<Hex> {
  const request = client.request as (call: object) => Promise<unknown>; // the result is checked
  const answer = await withRpcErrors(client, doing, () => request(call));
  if (isHex(answer) && isResultOf(call.method, answer)) return answer;
  throw new RpcUnavailableError(doing, { said: `its answer is no result of ${call.method}` });
}

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

/** A pending block has no number. */
function isBlock(value: unknown): boolean {
  const { hash, number, parentHash, timestamp, baseFeePerGas } = Object(value) as Fields<
    "hash" | "number" | "parentHash" | "timestamp" | "baseFeePerGas"
  >;
  const hasPlace = number === null || isQuantity(number);
  const hasHashes = [hash, parentHash].every(isOptional(isHash));
  return hasPlace && hasHashes && isQuantity(timestamp) && isOptional(isQuantity)(baseFeePerGas);
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
