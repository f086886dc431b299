// Updates one CVM of the live cloud, or of a mock one:
//
//   npm run update -- --cvm my-app --compose docker-compose.yml --env-file .env
//
// PHALA_CLOUD_API_KEY and PHALA_CLOUD_API_PREFIX name the cloud; BASE_RPC_URL and DSTACK_OWNER_KEY, from the Hardhat
// keystore or the environment, name the chain and the owner. Interrupted, run it again: nothing is paid twice.
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import hre from "hardhat";
import { createCloudClient } from "../src/cloud/create-client.ts";
import { InvalidArgumentError } from "../src/errors/index.ts";
import { exitWith } from "../src/report/exit-with.ts";
import { createPaper } from "../src/report/paper.ts";
import { createUpdatePrinter } from "../src/report/update-printer.ts";
import { openJournal } from "../src/update/journal.ts";
import { updateCvm } from "../src/update/update-cvm.ts";
import type { UpdateResult } from "../src/update/update-result.ts";
import { readNetwork } from "./support/read-network.ts";
import { parseUpdateArguments, type UpdateArguments } from "./update/parse-arguments.ts";

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => interruption.abort(new DOMException(`Stopped by ${signal}.`, "AbortError")));
}
try {
  const args = await parseUpdateArguments(process.argv.slice(2));
  const result = await update(args);
  if (args.json) console.log(JSON.stringify(result, (_, value) => (typeof value === "bigint" ? `${value}` : value)));
  else console.log(`\n${result.cvm}: ${result.outcome}, compose hash ${result.composeHash}`);
} catch (error) {
  process.exitCode = exitWith(error, process.stderr);
}

async function update(args: UpdateArguments): Promise<UpdateResult> {
  const apiKey = process.env.PHALA_CLOUD_API_KEY;
  if (apiKey === undefined) {
    throw new InvalidArgumentError("PHALA_CLOUD_API_KEY is not set.", {
      nextStep: "Export the API key of the workspace.",
    });
  }
  const baseUrl = process.env.PHALA_CLOUD_API_PREFIX ?? "https://cloud-api.phala.com/api/v1";
  const chain = await readNetwork(hre, args.network);
  await mkdir(dirname(args.journal), { recursive: true });
  const journal = await openJournal(args.journal);
  try {
    return await updateCvm({
      ...args.request,
      cloud: createCloudClient({ apiKey, baseUrl }),
      chain,
      journal,
      signal: interruption.signal,
      // With --json, standard output is for the one object.
      onStep: createUpdatePrinter(createPaper(args.json ? process.stderr : process.stdout)),
    });
  } finally {
    await journal.close();
  }
}
