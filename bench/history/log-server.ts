// A provider with a limit of 2,000 blocks, an index and a latency, in a process of its own: `log-server.ts SHAPE`. It prints
// their URLs. For each line on stdin, it prints what was asked since the last one; `grow` makes its chain grow.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { blocksOf, startProvider } from "../../test/support/history/rpc-provider.ts";
import { createSyntheticChain } from "../../test/support/history/synthetic-chain.ts";
import { latencyMs, mostBlocks, type ShapeName, shapes } from "./settings.ts";

const shape = shapes[process.argv[2] as ShapeName]; // the bench names one
const chain = createSyntheticChain(shape);
const wait = () => new Promise((resolve) => setTimeout(resolve, latencyMs));
let refused = 0;
const provider = await startProvider(chain, async (call) => {
  await wait();
  const asked = blocksOf(call);
  if (asked === undefined) return undefined;
  if (asked.count <= mostBlocks) return { resultJson: `[${chain.logsAsJson(asked.from, asked.to)}]` };
  refused += 1;
  return { error: { code: -32614, message: `eth_getLogs is limited to a ${mostBlocks} range` } };
});

const changesPerPage = 500;
let pages = 0;
const index = createServer(async (request, response) => {
  await wait();
  pages += 1;
  const { searchParams } = new URL(request.url ?? "", "http://localhost");
  const [from, to] = [Number(searchParams.get("fromBlock")), Number(searchParams.get("toBlock"))];
  const logs = chain.logsAsJson(from, to, changesPerPage).replaceAll('"blockTimestamp"', '"timeStamp"');
  const isEmpty = logs === "";
  response.end(`{"status":"${isEmpty ? 0 : 1}","message":"${isEmpty ? "No logs found" : "OK"}","result":[${logs}]}`);
});
await new Promise<void>((resolve) => index.listen(0, "127.0.0.1", resolve));
const { port } = index.address() as AddressInfo; // listening on TCP

await chain.prepareProof();
// Each log is encoded before anything is measured.
chain.logsAsJson(0, shape.head);
console.log(
  JSON.stringify({
    url: provider.url,
    indexUrl: `http://127.0.0.1:${port}/api`,
    appId: chain.appId,
    createdInBlock: chain.createdInBlock,
  }),
);
let [counted, countedRefused, countedPages] = [0, 0, 0];
createInterface({ input: process.stdin }).on("line", async (line) => {
  if (line === "grow") {
    chain.grow(shape.growth);
    await chain.prepareProof();
  }
  console.log(
    JSON.stringify({
      requests: provider.calls.length - counted,
      pages: pages - countedPages,
      refused: refused - countedRefused,
      logs: chain.logCount(),
    }),
  );
  [counted, countedRefused, countedPages] = [provider.calls.length, refused, pages];
});
