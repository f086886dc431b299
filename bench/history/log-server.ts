// A provider with a limit of 2,000 blocks and a latency, in its own process. It prints its URL. For each line on stdin,
// its chain grows.
import { createInterface } from "node:readline";
import { blocksOf, startProvider } from "../../test/support/history/rpc-provider.ts";
import { createSyntheticChain } from "../../test/support/history/synthetic-chain.ts";
import { growth, latencyMs, mostBlocks, settings } from "./settings.ts";

const chain = createSyntheticChain(settings);
let refused = 0;
const provider = await startProvider(chain, async (call) => {
  await new Promise((resolve) => setTimeout(resolve, latencyMs));
  const asked = blocksOf(call);
  if (asked === undefined) return undefined;
  if (asked.count <= mostBlocks)
    return { body: `{"jsonrpc":"2.0","id":1,"result":[${chain.logsAsJson(asked.from, asked.to)}]}` };
  refused += 1;
  return { error: { code: -32614, message: `eth_getLogs is limited to a ${mostBlocks} range` } };
});
console.log(JSON.stringify({ url: provider.url, appId: chain.appId, createdInBlock: chain.createdInBlock }));
let counted = 0;
let countedRefused = 0;
createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "grow") chain.grow(growth);
  // Since the last line.
  console.log(
    JSON.stringify({
      requests: provider.calls.length - counted,
      refused: refused - countedRefused,
      logs: chain.logCount(),
    }),
  );
  counted = provider.calls.length;
  countedRefused = refused;
});
