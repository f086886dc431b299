import { encodeFunctionData, keccak256 } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { type Hex, parseAppId, parseComposeHash, parseTransactionHash } from "../../../src/core/ids.ts";
import { dstackAppAbi } from "../../../src/generated/abi.ts";
import type { EntryOf, JournalEntry, NewJournalEntry } from "../../../src/update/journal-state.ts";

export const appId = parseAppId("a1".repeat(20));
export const composeHash = parseComposeHash("c2".repeat(32));
export const previousComposeHash = parseComposeHash("c1".repeat(32));
export const update = "00112233aabbccdd";

const signer = privateKeyToAccount(`0x${"0f".repeat(32)}`);
const data = encodeFunctionData({ abi: dstackAppAbi, functionName: "addComposeHash", args: [composeHash] });
const rawTransaction = await signer.signTransaction({
  type: "eip1559",
  chainId: 8453,
  nonce: 7,
  to: appId,
  data,
  gas: 60_000n,
  maxFeePerGas: 2_000_000_000n,
  maxPriorityFeePerGas: 1_000_000n,
});
export const transactionHash = parseTransactionHash(keccak256(rawTransaction));

const payment = { update, chainId: 8453, appId, step: "addComposeHash", value: composeHash } as const;

/** One of each, in the order of an update that goes well, and one discarded. */
export const newEntries = {
  patched: {
    type: "patched",
    update,
    cvm: "cvm-one",
    appId,
    chainId: 8453,
    composeHash,
    previousComposeHash,
    environment: "e0".repeat(32),
  },
  prepared: {
    type: "prepared",
    ...payment,
    from: signer.address.toLowerCase() as Hex,
    to: appId,
    data,
    nonce: 7,
    gas: "60000",
    maxFeePerGas: "2000000000",
    maxPriorityFeePerGas: "1000000",
    head: "100",
    rawTransaction,
    transactionHash,
  },
  broadcast: { type: "broadcast", ...payment, transactionHash },
  mined: {
    type: "mined",
    ...payment,
    transactionHash,
    blockNumber: "101",
    gasUsed: "51000",
    costWei: "51000000000000",
  },
  discarded: { type: "discarded", ...payment, transactionHash, reason: "replaced", replacedBy: null },
  confirming: { type: "confirming", update, transactionHash },
  confirmed: { type: "confirmed", update, correlationId: "corr-1" },
  completed: { type: "completed", update },
} as const satisfies Partial<{ [Type in JournalEntry["type"]]: Omit<EntryOf<Type>, "v" | "at"> }>;

export const wholeUpdate: readonly NewJournalEntry[] = [
  newEntries.patched,
  newEntries.prepared,
  newEntries.broadcast,
  newEntries.mined,
  newEntries.confirming,
  newEntries.confirmed,
  newEntries.completed,
];
