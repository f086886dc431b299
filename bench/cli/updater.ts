// Runs updates in its own process, so that the CPU time is only the client's. Each message starts one update.
import { createClient, http } from "viem";
import { base } from "viem/chains";
import { openLedger } from "../../src/chain/transactions/ledger.ts";
import { createCloudClient } from "../../src/cloud/create-client.ts";
import { updateCvm } from "../../src/update/update-cvm.ts";
import { devAccount } from "../../src/world/chain/client.ts";
import { usageOf } from "../usage.ts";

/** The input of the process, as JSON. */
export interface UpdaterSettings {
  readonly cloudUrl: string;
  readonly apiKey: string;
  readonly rpcUrl: string;
  readonly ledgerPath: string;
  readonly cvm: string;
}

const settings: UpdaterSettings = JSON.parse(process.argv[2] ?? "");
const cloud = createCloudClient({ apiKey: settings.apiKey, baseUrl: settings.cloudUrl });
const chain = createClient({ account: devAccount(0), chain: base, transport: http(settings.rpcUrl) });
const ledger = openLedger(settings.ledgerPath);

process.on("message", async (dockerCompose: string) => {
  const usage = await usageOf(async () => {
    const { outcome } = await updateCvm({ cloud, chain, ledger, cvm: settings.cvm, dockerCompose });
    if (outcome !== "updated") throw new Error(`The update ended as ${outcome}.`);
  });
  process.send?.(usage);
});
process.once("disconnect", () => process.exit());
process.send?.("ready");
