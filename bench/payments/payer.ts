// Sends transactions in its own process, so that CPU time and requests are only the client's. Each message is one task.
import { createClient, type Hex, http } from "viem";
import { waitForTransactionReceipt, writeContract } from "viem/actions";
import { base } from "viem/chains";
import type { BatchMode } from "../../src/batch/run.ts";
import { sendBatch } from "../../src/batch/send-batch.ts";
import { openLedger } from "../../src/chain/transactions/ledger.ts";
import { createCloudClient } from "../../src/cloud/create-client.ts";
import { parseAppId, parseComposeHash } from "../../src/core/ids.ts";
import { addComposeHashCall } from "../../src/core/owner-calls.ts";
import { dstackAppAbi } from "../../src/generated/abi.ts";
import { readHistory } from "../../src/history/read-history.ts";
import { applyPrunePlan } from "../../src/prune/apply-prune-plan.ts";
import { planPrune } from "../../src/prune/plan-prune.ts";
import { type PruneSource, readAllowlistUseFrom } from "../../src/prune/read-allowlist-use.ts";
import { devAccount } from "../../src/world/chain/client.ts";
import { usageOf } from "../usage.ts";

/** The input of the process, as JSON. */
export interface PayerSettings {
  readonly rpcUrl: string;
  readonly cloudUrl: string;
  readonly apiKey: string;
  readonly ledgerPath: string;
  /** Number of the dev account that owns the app, signs and pays. */
  readonly owner: number;
  readonly appId: string;
  /** How it pays. `plain`: a loop of viem's writeContract and waitForTransactionReceipt, without a ledger. */
  readonly way: "plain" | BatchMode;
}

/** Adds the hashes to the app's allowlist, or removes them. Except for `plain`, the removal is a whole prune. */
export interface PayerTask {
  readonly kind: "add" | "remove";
  readonly hashes: readonly Hex[];
}

const settings: PayerSettings = JSON.parse(process.argv[2] ?? "");
const { way } = settings;
const appId = parseAppId(settings.appId);
const account = devAccount(settings.owner);
const pollingInterval = 50;
const chain = createClient({ account, chain: base, transport: http(settings.rpcUrl), pollingInterval });
const cloud = createCloudClient({ apiKey: settings.apiKey, baseUrl: settings.cloudUrl });
const ledger = openLedger(settings.ledgerPath);

async function sendPlain({ kind, hashes }: PayerTask): Promise<void> {
  const functionName = kind === "add" ? "addComposeHash" : "removeComposeHash";
  for (const composeHash of hashes) {
    const hash = await writeContract(chain, { address: appId, abi: dstackAppAbi, functionName, args: [composeHash] });
    const { status } = await waitForTransactionReceipt(chain, { hash });
    if (status !== "success") throw new Error(`${functionName} ended as ${status}.`);
  }
}

async function add(hashes: readonly Hex[], mode: BatchMode): Promise<void> {
  const calls = hashes.map((hash) => addComposeHashCall({ appId, composeHash: parseComposeHash(hash) }));
  await sendBatch(chain, { calls, mode, ledger, pollIntervalMs: pollingInterval, allowDelegation: true });
}

/** As `dstack app prune`: reads the history and what the cloud runs, plans, and applies the plan. */
async function prune(hashes: readonly Hex[], mode: BatchMode): Promise<void> {
  const source: PruneSource = { chain, cloud, readHistory: () => readHistory(chain, { appId }) };
  const plan = planPrune(await readAllowlistUseFrom(source), {
    ...{ keep: 0, olderThanSeconds: undefined, pins: [], queued: [], mayEmptyList: false },
    acceptedUnknowns: ["proof"],
  });
  const parameters = { plan, source, account, ledger, mode, pollIntervalMs: pollingInterval, allowDelegation: true };
  const { removed } = await applyPrunePlan(parameters);
  if (removed.length !== hashes.length) throw new Error(`${removed.length} of ${hashes.length} hashes were removed.`);
}

process.on("message", async (task: PayerTask) => {
  const usage = await usageOf(() => {
    if (way === "plain") return sendPlain(task);
    return task.kind === "add" ? add(task.hashes, way) : prune(task.hashes, way);
  });
  process.send?.(usage);
});
process.once("disconnect", () => process.exit());
process.send?.("ready");
