import { type Address, encodeFunctionData, parseAbi } from "viem";
import { buildSafeBatch } from "../batch/build-safe-batch.ts";
import { readOwner } from "../chain/read-owner.ts";
import { type Hex, parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { encodeExecTransaction, execTransactionAbi } from "../core/safe-calldata.ts";
import { encodeSafeSignatures } from "../core/safe-signing.ts";
import { ContractRevertedError, SafeConfirmationsError } from "../errors/index.ts";
import { decodeSafeExecution } from "../governance/safe-executions.ts";
import { type ExecutionContext, type SendAsParameters, sendAs } from "./execution-context.ts";

const approveAbi = parseAbi(["function approveHash(bytes32 hashToApprove)"]);
/** Where a real signature has digits, an approval has zeros. Only for the price. */
const signatureBytes: Hex = `0x${"a5".repeat(65)}`;
/** Gas of an owner's signature above that of an approval: the calldata, and the recovery of the key. */
const signatureGas = 1_500n;
/** The approval of the owner that executes is not read from the storage. Live, another account may execute. */
const approvalGas = 2_100n;

export interface ExecuteInSafeParameters {
  readonly safe: Address;
  readonly calls: readonly OwnerCall[];
  /** @default "execute the Safe's transaction NONCE" */
  readonly what?: string | undefined;
}

/**
 * Lets a Safe make calls in one transaction. As many owners as its threshold says approve the hash on the chain, which a
 * Safe accepts in the place of their signatures. An owner that is a contract is impersonated itself.
 *
 * @throws SafeConfirmationsError, ContractRevertedError, and what buildSafeBatch throws
 */
export async function executeInSafe(
  context: ExecutionContext,
  { safe, calls, what }: ExecuteInSafeParameters,
): Promise<{ readonly safeTxHash: Hex; readonly transactionHash: TransactionHash }> {
  const { client, impersonation, recorder } = context;
  const { safeTx, safeTxHash, threshold, owners } = await buildSafeBatch(client, { calls, safe, allowNoEffect: true });
  const signers = owners.slice(0, Number(threshold));
  const [executor] = signers;
  if (executor === undefined || BigInt(signers.length) < threshold)
    throw new SafeConfirmationsError({ safeTxHash, threshold, confirmedBy: signers, missing: [], rejected: [] });
  for (const owner of signers) {
    await noteContract(context, owner);
    const data = encodeFunctionData({ abi: approveAbi, args: [safeTxHash] });
    const approval = { from: owner, to: safe, data, abi: approveAbi, functionName: "approveHash" };
    const receipt = await impersonation.send(approval);
    await recorder.addTransaction({ what: "approve the Safe transaction", isLive: false, receipt, data, calls: [] });
  }
  context.deviate(
    "The Safe's owners approved its transaction on the chain, because a rehearsal has no signatures. Live, they sign it, which costs nothing.",
  );
  const approvals = encodeSafeSignatures(signers.map((signer) => ({ kind: "approved-hash", signer })));
  const receipt = await impersonation.send({
    ...{ from: executor, to: safe, abi: execTransactionAbi, functionName: "execTransaction" },
    data: encodeExecTransaction(safeTx, approvals),
  });
  const signatures: Hex = `0x${signatureBytes.slice(2).repeat(signers.length)}`;
  await recorder.addTransaction({
    ...{ what: what ?? `execute the Safe's transaction ${safeTx.nonce}`, receipt, calls },
    data: encodeExecTransaction(safeTx, signatures),
    signatureGas: signatureGas * threshold + approvalGas,
  });
  const transactionHash = parseTransactionHash(receipt.transactionHash);
  // A Safe can mine a transaction whose inner call failed.
  const isDone = receipt.logs.some(({ address, topics, data }) => {
    const execution = address.toLowerCase() === safe.toLowerCase() ? decodeSafeExecution(topics, data) : undefined;
    return execution?.safeTxHash === safeTxHash && execution.isSuccessful;
  });
  if (isDone) return { safeTxHash, transactionHash };
  throw new ContractRevertedError({
    contract: safe,
    functionName: "execTransaction",
    reason: "the Safe's own event does not say that the calls inside succeeded",
  });
}

async function noteContract({ client, deviate }: ExecutionContext, owner: Address): Promise<void> {
  const { kind } = await readOwner(client, { address: owner });
  if (kind === "eoa" || kind === "renounced") return;
  const what = { safe: "a Safe", timelock: "a timelock", contract: "a contract" }[kind];
  deviate(`The Safe's owner ${owner} is ${what}. It was impersonated itself: what it needs to sign was not rehearsed.`);
}

/** Lets an account make a call in its own way: a Safe through its owners, any other account itself. */
export async function callAs(
  context: ExecutionContext,
  { from, call, what }: SendAsParameters,
): Promise<{ readonly transactionHash: TransactionHash }> {
  const { kind } = await readOwner(context.client, { address: from });
  if (kind === "safe") return executeInSafe(context, { safe: from, calls: [call], what });
  if (kind === "timelock" || kind === "contract")
    context.deviate(`${from} is a contract. It was impersonated itself: who can make it call was not rehearsed.`);
  return sendAs(context, { from, call, what });
}
