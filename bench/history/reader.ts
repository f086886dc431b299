// One reader in its own process, to measure its memory: `reader.ts MODE URL INDEX APP CREATED STORE`.
import { createPublicClient, http } from "viem";
import { base } from "viem/chains";
import { parseAppId } from "../../src/core/ids.ts";
import { dstackAppAbi } from "../../src/generated/abi.ts";
import { createLogIndex } from "../../src/history/log-index.ts";
import { readHistory } from "../../src/history/read-history.ts";
import { openHistoryStore } from "../../src/history/store.ts";
import { mostBlocks } from "./settings.ts";

const [, , mode = "", url = "", indexUrl = "", app = "", created = "0", path = ":memory:"] = process.argv;
const appId = parseAppId(app);
const client = createPublicClient({ chain: base, transport: http(url) });
const start = performance.now();
const result = await read();
console.log(
  JSON.stringify({
    ...result,
    wallMs: performance.now() - start,
    peakMb: process.resourceUsage().maxRSS / 1024,
  }),
);

interface Result {
  readonly events: number;
  readonly isComplete?: boolean;
  /** Whether the state is proven, if an index was read. */
  readonly isProven?: boolean;
}

async function read(): Promise<Result> {
  if (mode === "nothing") return { events: 0 };
  if (mode === "plain") return { events: await scanInOrder() };
  const store = openHistoryStore(path);
  const index = mode === "index" ? createLogIndex({ url: indexUrl }) : undefined;
  const { changes, completeness, indexed } = await readHistory(client, { appId, store, index });
  store.close();
  return {
    events: changes.length,
    isComplete: completeness.isComplete,
    ...(indexed && { isProven: indexed.provenAt !== undefined }),
  };
}

/** A simple script: it reads one range after the other, from a given block and with a given limit. */
async function scanInOrder(): Promise<number> {
  const head = await client.getBlockNumber();
  const events = dstackAppAbi.filter((item) => item.type === "event");
  const logs: unknown[] = [];
  for (let fromBlock = BigInt(created); fromBlock <= head; fromBlock += BigInt(mostBlocks)) {
    const last = fromBlock + BigInt(mostBlocks) - 1n;
    logs.push(...(await client.getLogs({ address: appId, events, fromBlock, toBlock: last < head ? last : head })));
  }
  return logs.length;
}
