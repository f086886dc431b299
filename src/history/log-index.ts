import type { Address, Hex } from "viem";
import { systemClock } from "../chain/retry.ts";
import { createSecretCleaner } from "../core/secrets.ts";
import {
  describeHttpAnswer,
  findNetworkFailure,
  firstWords,
  parseJson,
  problemOfBody,
  readBody,
} from "../core/text.ts";
import { InvalidArgumentError, LogIndexError } from "../errors/index.ts";
import type { BlockRange } from "./block-ranges.ts";
import type { PolicyLog } from "./policy.ts";
import { classifyRefusal, type Refusal } from "./refusals.ts";
import { dataPattern, hashPattern, type LogSource, matching, WrongLogsError } from "./scan-logs.ts";

/** What the two kinds of logs APIs do differently. */
const kinds = {
  /** Etherscan's API of version 2, and compatible ones: one address for all chains, with pages. */
  etherscan: {
    /** Page number times page length may be at most 10,000. */
    pagesOfOneBlock: 10,
    parameters: (chainId: number, page: number) => ({
      chainid: `${chainId}`,
      page: `${page}`,
      offset: `${logsPerPage}`,
    }),
  },
  /** Blockscout: one address per chain, without pages. */
  blockscout: { pagesOfOneBlock: 1, parameters: () => ({}) },
} as const;

export type LogIndexKind = keyof typeof kinds;

export const logIndexKinds = Object.keys(kinds) as readonly LogIndexKind[];

/** The longest answer of both kinds. */
const logsPerPage = 1_000;
/** Some services have shorter pages. An answer with a multiple of this many logs may be a full page. */
const roundNumberOfLogs = 100;
/** A thousand logs of DstackApp have less than a megabyte. */
const longestBody = 16 * 1024 * 1024;
/** A service that invents logs without end must not fill the disk. */
const mostLogs = 2_000_000;

export interface CreateLogIndexParameters {
  /** Address of the API, such as `https://api.etherscan.io/v2/api` or `https://base.blockscout.com/api`. */
  readonly url: string;
  /** @default etherscan if the path ends with /v2/api, else blockscout */
  readonly kind?: LogIndexKind | undefined;
  /** Sent to this address alone. No text and no file contains it. @default none */
  readonly apiKey?: string | undefined;
  /** Timeout of one request, including the body. @default 30_000 */
  readonly timeoutMs?: number | undefined;
}

/** A service that delivers events faster than a chain's endpoint. It is not trusted: see `readHistory`. */
export interface LogIndex {
  /** Names the index in stores and texts. */
  readonly host: string;
  /** The logs of one contract, for `readHistory`. */
  logsOf(contract: { readonly chainId: number; readonly address: Address }): LogSource;
}

/**
 * Creates a client of a logs API in the form of Etherscan or Blockscout. It follows no redirect, and accepts only logs
 * of the contract and the blocks that it asked for, in ascending order.
 *
 * @throws InvalidArgumentError if the address or the key cannot be one
 *
 * @example
 * import { createLogIndex, readHistory } from "dstack-toolkit/history";
 * import { appId, client } from "./app.js";
 * const index = createLogIndex({ url: "https://base.blockscout.com/api" });
 * const { indexed } = await readHistory(client, { appId, index });
 * if (indexed?.provenAt === undefined) console.log("Nothing is proven.");
 */
export function createLogIndex(parameters: CreateLogIndexParameters): LogIndex {
  const { timeoutMs = 30_000 } = parameters;
  const url = parseUrl(parameters.url);
  const apiKey = parseKey(parameters.apiKey);
  const kind = kinds[parameters.kind ?? (/\/v2\/api$/.test(url.pathname) ? "etherscan" : "blockscout")];
  const { clean } = createSecretCleaner([{ values: apiKey === undefined ? [] : [apiKey] }], "[api key]");
  const { host } = url;
  return Object.freeze({
    host,
    logsOf: ({ chainId, address }: { readonly chainId: number; readonly address: Address }): LogSource => {
      let logsLeft = mostLogs;
      let pauseMs = 0;
      let next = Promise.resolve();
      const classify = (error: unknown, asked: BlockRange): Refusal => {
        const refusal = classifyRefusal(undefined, error, asked);
        const ownKind = error instanceof IndexFault ? error.kind : undefined;
        const isHopeless = refusal.kind === "silent" && neverPasses.test(String(error));
        // The numbers in an index's messages are numbers of logs and pages.
        return {
          ...refusal,
          kind: ownKind ?? (isHopeless ? "unsupported" : refusal.kind),
          suggestedBlocks: undefined,
          answer: describeFault(error, clean),
        };
      };
      const readPage = async (range: BlockRange, page: number, signal: AbortSignal): Promise<PolicyLog[]> => {
        // A service that names its limit is asked no faster than that.
        await next;
        next = pauseMs === 0 ? next : systemClock.sleep(pauseMs, signal).catch(() => {});
        const asked = {
          ...{ module: "logs", action: "getLogs", address },
          ...{ fromBlock: `${range.fromBlock}`, toBlock: `${range.toBlock}` },
          ...kind.parameters(chainId, page),
          ...(apiKey !== undefined && { apikey: apiKey }),
        };
        const target = `${url.href}?${new URLSearchParams(asked)}`;
        const ending = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
        try {
          return parseLogs(await request(target, ending, clean), address, range);
        } catch (error) {
          pauseMs = pauseBetween(error) ?? pauseMs;
          throw error;
        }
      };
      return {
        maySplitSilence: false,
        classify,
        toError: (refusal, asked) => new LogIndexError(host, asked, refusal.answer),
        read: async (range, signal) => {
          const logs = await readPage(range, 1, signal);
          const last = logs.at(-1)?.blockNumber;
          const isFull = logs.length >= logsPerPage || (logs.length > 0 && logs.length % roundNumberOfLogs === 0);
          let toBlock = range.toBlock;
          if (isFull && last !== undefined && last > range.fromBlock) {
            // The next request begins with the last block again: its logs may continue on the next page.
            toBlock = last - 1n;
            while (logs.at(-1)?.blockNumber === last) logs.pop();
          } else if (isFull && last !== undefined) {
            toBlock = last;
            logs.push(...(await readRest(last, logs, signal)));
          }
          logsLeft -= logs.length;
          if (logsLeft < 0) throw new IndexFault(`It delivers more than ${mostLogs} logs.`, { kind: "unsupported" });
          return { logs, toBlock };
        },
      };

      /** The further pages of one block. */
      async function readRest(block: bigint, first: readonly PolicyLog[], signal: AbortSignal): Promise<PolicyLog[]> {
        const rest: PolicyLog[] = [];
        for (let page = 2; page <= kind.pagesOfOneBlock; page += 1) {
          const logs = await readPage({ fromBlock: block, toBlock: block }, page, signal);
          requireAscending([...first.slice(-1), ...rest.slice(-1), ...logs]);
          rest.push(...logs);
          if (logs.length < first.length) return rest;
        }
        throw new IndexFault(`Block ${block} has more logs than it delivers.`, { kind: "unsupported" });
      }
    },
  });
}

/** An answer that is no list of logs. */
class IndexFault extends Error {
  /** Undefined if the words tell. */
  readonly kind: Refusal["kind"] | undefined;
  readonly status: number | undefined;
  readonly headers: Headers | undefined;
  constructor(
    message: string,
    { kind, status, headers }: { kind?: Refusal["kind"] | undefined; status?: number; headers?: Headers } = {},
  ) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.headers = headers;
  }
}

const nothingFound = /^no (?:records|logs) found/i;
/** A refusal of every request, unless its words are also those of a limit. */
const neverPasses = /api.?key|chain.?id|not supported|upgrade|deprecated/i;
/** No wait within one run ends such a limit. */
const longLimit = /\bdaily\b|\bper day\b|\bmonth/i;

/** @returns the list of logs. @throws IndexFault, what `fetch` throws */
async function request(target: string, signal: AbortSignal, clean: (text: string) => string): Promise<unknown[]> {
  const response = await fetch(target, { headers: { accept: "application/json" }, redirect: "manual", signal });
  const { status, headers } = response;
  const contentType = headers.get("content-type") ?? undefined;
  if (status >= 300 && status < 400) {
    await response.body?.cancel();
    throw new IndexFault(`HTTP ${status}, a redirect, which is not followed`, { kind: "unsupported" });
  }
  let body: string;
  try {
    body = await readBody(response, longestBody);
  } catch (error) {
    if (error instanceof RangeError) throw new IndexFault(error.message, { kind: "tooMuch" });
    throw error;
  }
  const told = (problem?: string) => describeHttpAnswer({ status, contentType, body }, clean, problem);
  if (!response.ok) throw new IndexFault(told(), { status, headers });
  const parsed = parseJson(body);
  if (parsed === undefined) throw new IndexFault(told(problemOfBody(body, "JSON")));
  const { status: outcome, message, result } = Object(parsed) as Readonly<Record<string, unknown>>;
  if (`${outcome}` === "1" && Array.isArray(result)) return result;
  if (`${outcome}` !== "0" || typeof message !== "string") throw new IndexFault(told("JSON, but no list of logs"));
  const isEmpty = result === null || (Array.isArray(result) && result.length === 0);
  if (isEmpty && nothingFound.test(message)) return [];
  const words = firstWords(typeof result === "string" && result !== "" ? result : message, clean);
  throw new IndexFault(words, {
    headers,
    kind: longLimit.test(words) ? "unsupported" : undefined,
  });
}

/** Milliseconds between two requests, if a refusal names a number of requests per second. */
function pauseBetween(error: unknown): number | undefined {
  const words = error instanceof IndexFault ? error.message : "";
  const [, first, second] = /(\d{1,4}) ?\/ ?s(?:ec)?\b|(\d{1,4}) (?:calls|requests) per second/i.exec(words) ?? [];
  const perSecond = Number(first ?? second);
  return perSecond > 0 ? 1_000 / perSecond : undefined;
}

function describeFault(error: unknown, clean: (text: string) => string): string {
  const said = findNetworkFailure(error)?.words ?? (error instanceof Error ? error.message : String(error));
  return clean(said).slice(0, 300).replace(/\.+$/, "");
}

/** @throws an error if a log is malformed, is not one that was asked for, or is out of order or repeated */
function parseLogs(list: readonly unknown[], contract: Address, range: BlockRange): PolicyLog[] {
  const address = contract.toLowerCase();
  const logs = list.map((raw) => parseLog(raw, address, range));
  requireAscending(logs);
  return logs;
}

function requireAscending(logs: readonly PolicyLog[]): void {
  for (const [index, log] of logs.entries()) {
    const before = logs[index - 1];
    if (before === undefined || before.blockNumber < log.blockNumber) continue;
    const isNext = before.blockNumber === log.blockNumber && before.logIndex < log.logIndex;
    if (!isNext) throw new WrongLogsError("Its answer has a log twice, or logs that are not in ascending order.");
  }
}

/** Etherscan writes zero as `0x`, and Blockscout fills the list of topics with null. */
const quantityPattern = /^(?:0x[0-9a-f]{0,13}|\d{1,15})$/i;

function parseLog(raw: unknown, contract: string, { fromBlock, toBlock }: BlockRange): PolicyLog {
  const log = Object(raw) as Readonly<Record<string, unknown>>;
  const { address, timeStamp } = log;
  const topics = Array.isArray(log.topics) ? log.topics.filter((topic) => topic !== null) : [];
  const blockNumber = quantity(log.blockNumber);
  if (typeof address !== "string" || address.toLowerCase() !== contract)
    throw new WrongLogsError("Its answer has a log of another contract.");
  if (blockNumber < fromBlock || blockNumber > toBlock)
    throw new WrongLogsError("Its answer has a log of another block.");
  return {
    blockNumber,
    blockHash: undefined, // its word about a block proves nothing
    logIndex: Number(quantity(log.logIndex)),
    transactionHash: matching(log.transactionHash, hashPattern),
    timestamp: timeStamp === undefined ? undefined : quantity(timeStamp),
    topics: topics.slice(0, 5).map((topic): Hex => matching(topic, hashPattern)),
    data: matching(log.data, dataPattern),
  };
}

function quantity(value: unknown): bigint {
  const text = typeof value === "number" ? `${value}` : value;
  if (typeof text !== "string" || !quantityPattern.test(text))
    throw new WrongLogsError("Its answer has something that is not a mined log.");
  return text.length === 2 && /^0x$/i.test(text) ? 0n : BigInt(text);
}

function parseUrl(raw: string): URL {
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  const isHttp = url?.protocol === "https:" || url?.protocol === "http:";
  if (isHttp && url.username === "" && url.search === "" && url.hash === "") return url;
  throw new InvalidArgumentError("The index must be an http(s) URL without credentials, query and fragment.", {
    nextStep: "Give an address such as https://api.etherscan.io/v2/api. The API key has a setting of its own.",
  });
}

function parseKey(raw = ""): string | undefined {
  const apiKey = raw.trim();
  if (/^[\x21-\x7e]*$/.test(apiKey)) return apiKey || undefined;
  throw new InvalidArgumentError("The index's API key must be printable ASCII without spaces.", {
    nextStep: "Copy the key again, whole.",
  });
}
