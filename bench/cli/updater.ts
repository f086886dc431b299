// Runs updates in its own process, so that the CPU time is only the client's. Each message starts one update.
import { createClient, http } from "viem";
import { base } from "viem/chains";
import { openLedger } from "../../src/chain/transactions/ledger.ts";
import { createCloudClient } from "../../src/cloud/create-client.ts";
import { updateCvm } from "../../src/update/update-cvm.ts";
import { devAccount } from "../../src/world/chain/client.ts";
import { readUsage } from "./usage.mjs";

/** The input of the process, as JSON. */
export interface UpdaterSettings {
  readonly cloudUrl: string;
  readonly apiKey: string;
  readonly rpcUrl: string;
  readonly ledgerPath: string;
  readonly cvm: string;
}

/** The figures of one update. */
export interface Usage {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly requests: number;
}

const settings: UpdaterSettings = JSON.parse(process.argv[2] ?? "");
const cloud = createCloudClient({ apiKey: settings.apiKey, baseUrl: settings.cloudUrl });
const chain = createClient({ account: devAccount(0), chain: base, transport: http(settings.rpcUrl) });
const ledger = openLedger(settings.ledgerPath);

process.on("message", async (dockerCompose: string) => {
  const before = readUsage();
  const start = performance.now();
  const { outcome } = await updateCvm({ cloud, chain, ledger, cvm: settings.cvm, dockerCompose });
  const wallMs = performance.now() - start;
  if (outcome !== "updated") throw new Error(`The update ended as ${outcome}.`);
  const { cpuMs, requests } = readUsage();
  const usage: Usage = { wallMs, cpuMs: cpuMs - before.cpuMs, requests: requests - before.requests };
  process.send?.(usage);
});
process.once("disconnect", () => process.exit());
process.send?.("ready");
