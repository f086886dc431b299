import { createClient, createPublicClient, custom, type EIP1193RequestFn, getAddress } from "viem";
import { base } from "viem/chains";
import { readReceipt } from "../../../src/chain/transactions/receipt.ts";
import { parseTransactionHash, type TransactionHash } from "../../../src/core/ids.ts";
import { addComposeHashCall, proveCalls } from "../../../src/core/owner-calls.ts";
import {
  InvalidHexError,
  ReceiptMismatchError,
  RpcUnavailableError,
  WrongChainError,
} from "../../../src/errors/index.ts";
import { proveExecution } from "../../../src/governance/prove-execution.ts";
import { verifyRegistration } from "../../../src/mock-cloud/index.ts";
import type { BackendVerdict, EventVerdict, PlanVerdict, ReceiptMoment } from "../../../src/testing/index.ts";

const alreadyRegistered = "already-registered";

function transportOf({ provider }: Pick<ReceiptMoment, "provider">) {
  const request = provider.request.bind(provider) as EIP1193RequestFn; // the same requests, each with its types
  return custom({ request }, { retryCount: 0 });
}

function tryParse(raw: string): TransactionHash | undefined {
  try {
    return parseTransactionHash(raw);
  } catch (error) {
    if (error instanceof InvalidHexError) return undefined;
    throw error;
  }
}

/** The verdict of the mock cloud's verifier. */
export async function judgeAsBackend(moment: ReceiptMoment): Promise<BackendVerdict> {
  const { claim, finality } = moment;
  const { transactionHash: raw, deviceId: _, ...rest } = claim;
  const transactionHash = raw === alreadyRegistered ? raw : tryParse(raw);
  if (transactionHash === undefined) return "malformed";
  const client = createPublicClient({ transport: transportOf(moment), cacheTime: 0 });
  try {
    const { kind } = await verifyRegistration(client, { ...rest, transactionHash, finality });
    if (kind === "wrong-chain") return "unknown";
    return kind === "verified" ? "accepted" : kind;
  } catch (error) {
    if (error instanceof TypeError) throw error;
    return "unknown";
  }
}

/** Whether the toolkit finds the event of the owner's call in the receipt. */
export async function judgeEvents(moment: ReceiptMoment): Promise<EventVerdict> {
  const { appId, composeHash, transactionHash: raw } = moment.claim;
  if (raw === alreadyRegistered) return null;
  const transactionHash = tryParse(raw);
  if (transactionHash === undefined) return "malformed";
  try {
    const receipt = await readReceipt(createClient({ chain: base, transport: transportOf(moment) }), transactionHash);
    if (receipt === undefined) return "not-mined";
    proveCalls(receipt, [addComposeHashCall({ appId, composeHash })]);
    return "proven";
  } catch (error) {
    if (error instanceof ReceiptMismatchError) return "not-proven";
    if (error instanceof RpcUnavailableError) return "unknown";
    throw error;
  }
}

/** The toolkit's proof that the transaction is the execution of a plan to add the hash. */
export async function judgePlan(moment: ReceiptMoment): Promise<PlanVerdict> {
  const { appId, chainId, composeHash, transactionHash: raw } = moment.claim;
  if (raw === alreadyRegistered) return null;
  const transactionHash = tryParse(raw);
  if (transactionHash === undefined) return "malformed";
  const { kind, address } = moment.owner;
  const call = addComposeHashCall({ appId, composeHash });
  const plan = {
    chainId,
    contracts: [{ contract: "app", address: appId, generation: "test" }],
    owner: { kind, address: getAddress(address) },
    changes: [{ call, reason: { rule: "requested" } }],
  } as const;
  try {
    const client = createClient({ chain: base, transport: transportOf(moment) });
    const verdict = await proveExecution(client, plan, { transactionHash });
    return verdict.kind === "applied" ? verdict.kind : (verdict.reason as PlanVerdict);
  } catch (error) {
    if (error instanceof WrongChainError || error instanceof RpcUnavailableError) return "unknown";
    throw error;
  }
}
