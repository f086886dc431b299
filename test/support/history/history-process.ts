// Reads one app's history into a store, in a process of its own that a test may kill. Prints the number of changes.
import { createClient, http } from "viem";
import { base } from "viem/chains";
import { parseAppId } from "../../../src/core/ids.ts";
import { createLogIndex } from "../../../src/history/log-index.ts";
import { readHistory } from "../../../src/history/read-history.ts";
import { openHistoryStore } from "../../../src/history/store.ts";

const [, , rpcUrl = "", appId = "", path = "", indexUrl] = process.argv;
const store = openHistoryStore(path);
const { changes, completeness } = await readHistory(createClient({ chain: base, transport: http(rpcUrl) }), {
  appId: parseAppId(appId),
  store,
  ...(indexUrl !== undefined && { index: createLogIndex({ url: indexUrl }) }),
  retryDelayMs: 1,
});
store.close();
console.log(JSON.stringify({ changes: changes.length, isComplete: completeness.isComplete }));
