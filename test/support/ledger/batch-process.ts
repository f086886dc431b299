// One batch in a process of its own. Its settings come as a line of JSON on stdin, because a key has no place among the
// arguments. It begins to work at the end of stdin.
import { createInterface } from "node:readline";
import { createClient, type Hex, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { base } from "viem/chains";
import type { BatchMode } from "../../../src/batch/run.ts";
import { sendBatch } from "../../../src/batch/send-batch.ts";
import { openLedger } from "../../../src/chain/transactions/ledger.ts";
import { parseAppId, parseComposeHash } from "../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../src/core/owner-calls.ts";
import { isDstackError } from "../../../src/errors/index.ts";

export interface BatchProcessSettings {
  readonly ledgerPath: string;
  readonly rpcUrl: string;
  /** A local key, or the address of a key that the node holds. */
  readonly signer: Hex;
  readonly appId: Hex;
  /** The hashes to allow. */
  readonly hashes: readonly Hex[];
  readonly mode: BatchMode;
  readonly window: number;
}

/** The last line on standard output. */
export interface BatchProcessResult {
  readonly statuses?: readonly string[];
  readonly hashes?: readonly Hex[];
  /** Name of the error. */
  readonly error?: string;
  readonly message?: string;
}

let first: string | undefined;
for await (const line of createInterface(process.stdin)) {
  first ??= line;
  process.stdout.write("ready\n");
}
const { ledgerPath, rpcUrl, signer, appId, hashes, mode, window }: BatchProcessSettings = JSON.parse(first ?? "{}");
process.stdout.write("working\n");
const client = createClient({ chain: base, transport: http(rpcUrl, { retryCount: 0 }), pollingInterval: 10 });
using ledger = openLedger(ledgerPath);
const result = await sendBatch(client, {
  account: signer.length === 42 ? signer : privateKeyToAccount(signer),
  calls: hashes.map((hash) => addComposeHashCall({ appId: parseAppId(appId), composeHash: parseComposeHash(hash) })),
  ...{ ledger, mode, window },
}).then(
  ({ calls, transactions }): BatchProcessResult => ({
    statuses: calls.map(({ status }) => status),
    hashes: transactions.map(({ transactionHash }) => transactionHash),
  }),
  (error: unknown): BatchProcessResult => ({
    error: isDstackError(error) ? error.name : "Error",
    message: String(error instanceof Error ? error.stack : error),
  }),
);
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exitCode = result.error === undefined ? 0 : 1;
