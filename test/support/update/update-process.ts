// One update in a process of its own, killed at one of its ledger's writes where it is told to.
// Its settings come as JSON on stdin: a key has no place among the arguments.
import { text } from "node:stream/consumers";
import { createClient, type Hex, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { base } from "viem/chains";
import { openLedger } from "../../../src/chain/transactions/ledger.ts";
import { createCloudClient } from "../../../src/cloud/create-client.ts";
import { updateCvm } from "../../../src/update/update-cvm.ts";
import { type CrashPoint, crashingLedger } from "../ledger/crashing-ledger.ts";

export interface UpdateProcessSettings {
  readonly ledgerPath: string;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly rpcUrl: string;
  readonly privateKey: Hex;
  readonly cvm: string;
  readonly dockerCompose: string;
  readonly killAt?: CrashPoint | undefined;
}

const settings: UpdateProcessSettings = JSON.parse(await text(process.stdin));
using ledger = openLedger(settings.ledgerPath);
const kill = () => void process.kill(process.pid, "SIGKILL");
const result = await updateCvm({
  cloud: createCloudClient({ apiKey: settings.apiKey, baseUrl: settings.baseUrl }),
  chain: createClient({
    chain: base,
    transport: http(settings.rpcUrl),
    account: privateKeyToAccount(settings.privateKey),
  }),
  ledger: settings.killAt === undefined ? ledger : crashingLedger(ledger, settings.killAt, kill),
  cvm: settings.cvm,
  dockerCompose: settings.dockerCompose,
  pollCloudMs: 20,
  pollChainMs: 20,
});
console.log(JSON.stringify({ outcome: result.outcome, composeHash: result.composeHash, isResumed: result.isResumed }));
