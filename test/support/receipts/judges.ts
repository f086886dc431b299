import { expect } from "chai";
import { createClient, createPublicClient, custom, type EIP1193RequestFn, getAddress } from "viem";
import { base } from "viem/chains";
import { readReceipt } from "../../../src/chain/transactions/receipt.ts";
import { parseComposeHash, parseTransactionHash } from "../../../src/core/ids.ts";
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

function tryParse<Hash>(parse: (raw: string) => Hash, raw: string): Hash | undefined {
  try {
    return parse(raw);
  } catch (error) {
    if (error instanceof InvalidHexError) return undefined;
    throw error;
  }
}

/** The named transaction, and the call that it is said to have made. Null if none is named. */
function parseNamed({ claim }: ReceiptMoment) {
  if (claim.transactionHash === alreadyRegistered) return null;
  const transactionHash = tryParse(parseTransactionHash, claim.transactionHash);
  const composeHash = tryParse(parseComposeHash, claim.composeHash);
  if (transactionHash === undefined || composeHash === undefined) return "malformed";
  return { transactionHash, call: addComposeHashCall({ appId: claim.appId, composeHash }) };
}

/** The verdict of the mock cloud's verifier. */
export async function judgeAsBackend(moment: ReceiptMoment): Promise<BackendVerdict> {
  const { claim, finality } = moment;
  const { transactionHash: raw, deviceId: _, ...rest } = claim;
  const transactionHash = raw === alreadyRegistered ? raw : tryParse(parseTransactionHash, raw);
  const composeHash = tryParse(parseComposeHash, claim.composeHash);
  if (transactionHash === undefined || composeHash === undefined) return "malformed";
  const client = createPublicClient({ transport: transportOf(moment), cacheTime: 0 });
  try {
    const { kind } = await verifyRegistration(client, { ...rest, composeHash, transactionHash, finality });
    if (kind === "wrong-chain") return "unknown";
    return kind === "verified" ? "accepted" : kind;
  } catch (error) {
    if (error instanceof TypeError) throw error;
    return "unknown";
  }
}

/** Whether the toolkit finds the event of the owner's call in the receipt. */
export async function judgeEvents(moment: ReceiptMoment): Promise<EventVerdict> {
  const parsed = parseNamed(moment);
  if (typeof parsed !== "object" || parsed === null) return parsed;
  const { transactionHash, call } = parsed;
  try {
    const receipt = await readReceipt(createClient({ chain: base, transport: transportOf(moment) }), transactionHash);
    if (receipt === undefined) return "not-mined";
    proveCalls(receipt, [call]);
    return "proven";
  } catch (error) {
    if (error instanceof ReceiptMismatchError) return "not-proven";
    if (error instanceof RpcUnavailableError) return "unknown";
    throw error;
  }
}

/** The toolkit's proof that the transaction is the execution of a plan to add the hash. */
export async function judgePlan(moment: ReceiptMoment): Promise<PlanVerdict> {
  const parsed = parseNamed(moment);
  if (typeof parsed !== "object" || parsed === null) return parsed;
  const { transactionHash, call } = parsed;
  const { appId, chainId } = moment.claim;
  const { kind, address } = moment.owner;
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

/** Every judge gives the verdict that the corpus says is right. */
export async function expectRightVerdicts(moment: ReceiptMoment): Promise<void> {
  const { when, ...right } = moment.verdicts;
  const given = {
    backend: await judgeAsBackend(moment),
    events: await judgeEvents(moment),
    plan: await judgePlan(moment),
  };
  expect(given, when).to.deep.equal(right);
}
