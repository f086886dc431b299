import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { type Hex, numberToHex } from "viem";

/** A log as the node has it. */
export interface NodeLog {
  readonly address: Hex;
  readonly blockNumber: Hex;
  readonly blockTimestamp?: Hex;
  readonly logIndex: Hex;
  readonly transactionHash: Hex;
  readonly transactionIndex: Hex;
  readonly topics: readonly Hex[];
  readonly data: Hex;
}

export interface IndexQuery {
  readonly [name: string]: string;
}

export interface IndexAnswer {
  /** @default 200 */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface IndexServerSettings {
  /** @default etherscan */
  readonly kind?: "etherscan" | "blockscout" | undefined;
  /** Logs per page, whatever the client asks for. */
  readonly pageLength: number;
}

export interface IndexServer {
  readonly url: string;
  readonly queries: readonly IndexQuery[];
  readonly headers: readonly IncomingHttpHeaders[];
  /** What the index believes the chain's logs to be. */
  believe(lie: ((logs: readonly NodeLog[]) => readonly NodeLog[]) | undefined): void;
  /** Answers a request in place of the index; undefined lets the index answer. */
  behave(
    behaviour: ((query: IndexQuery) => IndexAnswer | undefined | Promise<IndexAnswer | undefined>) | undefined,
  ): void;
  /** Changes the entries of one page just before they are sent. */
  garble(garble: ((page: readonly object[]) => readonly object[]) | undefined): void;
  close(): Promise<void>;
}

interface Node {
  request(call: { method: string; params?: unknown[] }): Promise<unknown>;
}

/** An index of logs over HTTP, with the two public forms of answers, over a node of this process. */
export async function startIndex(node: Node, settings: IndexServerSettings): Promise<IndexServer> {
  const { kind = "etherscan", pageLength } = settings;
  const queries: IndexQuery[] = [];
  const headers: IncomingHttpHeaders[] = [];
  let lie: Parameters<IndexServer["believe"]>[0];
  let behaviour: Parameters<IndexServer["behave"]>[0];
  let garbling: Parameters<IndexServer["garble"]>[0];
  const server = createServer(async (request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://localhost");
    const query = Object.fromEntries(searchParams);
    queries.push(query);
    headers.push(request.headers);
    const answer = (await behaviour?.(query)) ?? { body: JSON.stringify(await answerTo(query)) };
    response.writeHead(answer.status ?? 200, { "content-type": "application/json", ...answer.headers });
    response.end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // listening on TCP
  return {
    url: `${origin}${kind === "etherscan" ? "/v2/api" : "/api"}`,
    queries,
    headers,
    believe: (next) => {
      lie = next;
    },
    behave: (next) => {
      behaviour = next;
    },
    garble: (next) => {
      garbling = next;
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };

  async function answerTo({ address, fromBlock, toBlock, page = "1" }: IndexQuery): Promise<object> {
    const head = Number(await node.request({ method: "eth_blockNumber", params: [] }));
    const params = [{ address, fromBlock: "0x0", toBlock: numberToHex(head) }];
    const all = (await node.request({ method: "eth_getLogs", params })) as readonly NodeLog[];
    const believed = (lie?.(all) ?? all).filter(
      ({ blockNumber }) => Number(blockNumber) >= Number(fromBlock) && Number(blockNumber) <= Number(toBlock),
    );
    const start = kind === "etherscan" ? (Number(page) - 1) * pageLength : 0;
    const found = believed.slice(start, start + pageLength).map(kind === "etherscan" ? asEtherscan : asBlockscout);
    if (found.length > 0) return { status: "1", message: "OK", result: garbling?.(found) ?? found };
    return { status: "0", message: kind === "etherscan" ? "No records found" : "No logs found", result: [] };
  }
}

/** Zero is written without digits. */
function quantity(value: Hex): Hex {
  return Number(value) === 0 ? "0x" : value;
}

function asEtherscan(log: NodeLog): object {
  const { address, topics, data, blockNumber, transactionHash } = log;
  return {
    ...{ address, topics, data, blockNumber, transactionHash },
    blockHash: `0x${"bb".repeat(32)}`, // untrue, and never used
    timeStamp: log.blockTimestamp,
    ...{ gasPrice: "0x1", gasUsed: "0x5208" },
    logIndex: quantity(log.logIndex),
    transactionIndex: quantity(log.transactionIndex),
  };
}

function asBlockscout(log: NodeLog): object {
  const { address, topics, data, blockNumber, transactionHash, logIndex, transactionIndex } = log;
  return {
    ...{ address, data, blockNumber, transactionHash, logIndex, transactionIndex },
    topics: [...topics, null, null, null].slice(0, 4),
    timeStamp: log.blockTimestamp,
    ...{ gasPrice: "0x1", gasUsed: "0x5208" },
  };
}
