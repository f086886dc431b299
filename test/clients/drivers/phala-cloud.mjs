// Calls @phala/cloud: one request per line of stdin, one answer per line of stdout. Nothing is translated: the
// method is the package's export of that name, its parameters and its result are passed on as they are.
//
//   node phala-cloud.mjs <folder with node_modules>
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const load = (file) => import(pathToFileURL(join(folder, "node_modules", ...file)).href);
const sdk = await load(["@phala", "cloud", "dist", "index.mjs"]);
const webhook = await load(["@phala", "cloud", "dist", "webhook.mjs"]);
const chains = await load(["viem", "_esm", "chains", "index.js"]);

// The package prints receipts.
console.log = console.error;

for await (const line of createInterface({ input: process.stdin })) void answer(JSON.parse(line));

async function answer({ id, ...request }) {
  const reply = await run(request).catch((error) => ({ error: describe(error) }));
  process.stdout.write(`${JSON.stringify({ id, ...reply }, withoutBigInts)}\n`);
}

async function run({ kind, method, parameters, apiKey, baseUrl, version }) {
  const action = kind === "webhook" ? webhook[method] : sdk[method];
  if (typeof action !== "function") return { missing: `@phala/cloud exports no ${method}` };
  if (kind === "chain") return { value: await action({ chain: chains.base, ...parameters }) };
  if (kind !== "api") return { value: await action(...parameters) };
  const client = sdk.createClient({ apiKey, baseURL: baseUrl, ...(version && { version }) });
  return { value: await (parameters === undefined ? action(client) : action(client, parameters)) };
}

function describe(error) {
  return {
    name: error?.name ?? typeof error,
    message: String(error?.message ?? error),
    status: error?.status,
    code: error?.errorCode,
    detail: error?.detail,
  };
}

function withoutBigInts(_key, value) {
  return typeof value === "bigint" ? value.toString() : value;
}
