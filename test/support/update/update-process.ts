// One update in a process of its own, killed at one of its journal's writes where it is told to.
// Its settings come as JSON on stdin: a key has no place among the arguments.
import { text } from "node:stream/consumers";
import { createClient, type Hex, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { base } from "viem/chains";
import { createCloudClient } from "../../../src/cloud/create-client.ts";
import { openJournal } from "../../../src/update/journal.ts";
import { updateCvm } from "../../../src/update/update-cvm.ts";
import { type CrashPoint, crashingJournal } from "./crashing-journal.ts";

export interface UpdateProcessSettings {
  readonly journalPath: string;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly rpcUrl: string;
  readonly privateKey: Hex;
  readonly cvm: string;
  readonly dockerCompose: string;
  readonly killAt?: CrashPoint | undefined;
}

const settings: UpdateProcessSettings = JSON.parse(await text(process.stdin));
const journal = await openJournal(settings.journalPath);
const result = await updateCvm({
  cloud: createCloudClient({ apiKey: settings.apiKey, baseUrl: settings.baseUrl }),
  chain: createClient({
    chain: base,
    transport: http(settings.rpcUrl),
    account: privateKeyToAccount(settings.privateKey),
  }),
  journal: crashingJournal(journal, settings.killAt, () => process.kill(process.pid, "SIGKILL")),
  cvm: settings.cvm,
  dockerCompose: settings.dockerCompose,
  pollCloudMs: 20,
  pollChainMs: 20,
});
await journal.close();
console.log(JSON.stringify({ outcome: result.outcome, composeHash: result.composeHash, isResumed: result.isResumed }));
