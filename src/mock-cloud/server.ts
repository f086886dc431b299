#!/usr/bin/env node
// The mock cloud as a process of its own: settings from flags and the environment, one line per event on stderr.
//
//   node scripts/run.mjs src/mock-cloud/server.ts --port 4000 --state cloud.db --seed seed.json
//
// The seed file is a MockCloudSeed as JSON. DSTACK_CLOUD_API_KEY adds an API key for its first workspace, so that no
// key needs to be in the file; DSTACK_CLOUD_RPC_URL, where set, is the endpoint of every on-chain KMS in it.
// DSTACK_CLOUD_ADMIN_KEY opens the admin endpoints to whoever has it.
import { parseArgs } from "node:util";
import { readBoundedText } from "../files/read-bounded.ts";
import type { MockCloudEvent } from "./events.ts";
import { parseSeed } from "./parse-seed.ts";
import { startMockCloud } from "./start.ts";

const { values: flags } = parseArgs({
  options: {
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "4000" },
    state: { type: "string" },
    seed: { type: "string" },
    "rollover-ms": { type: "string" },
    quiet: { type: "boolean", default: false },
  },
});

const seed = parseSeed(flags.seed === undefined ? {} : JSON.parse(await readBoundedText(flags.seed)), {
  apiKey: process.env.DSTACK_CLOUD_API_KEY,
  rpcUrl: process.env.DSTACK_CLOUD_RPC_URL,
});
const cloud = await startMockCloud({
  ...seed,
  host: flags.host,
  port: Number(flags.port),
  ...(flags.state !== undefined && { stateFile: flags.state }),
  ...(process.env.DSTACK_CLOUD_ADMIN_KEY && { admin: { key: process.env.DSTACK_CLOUD_ADMIN_KEY } }),
  ...(flags["rollover-ms"] !== undefined && { rolloverMs: Number(flags["rollover-ms"]) }),
  ...(!flags.quiet && { onEvent: report }),
});
console.log(JSON.stringify({ url: cloud.url, baseUrl: cloud.baseUrl }));

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void cloud.close());

function report({ type, ...facts }: MockCloudEvent): void {
  const text = Object.entries(facts).map(([name, value]) => `${name}=${String(value)}`);
  console.error([type, ...text].join(" "));
}
