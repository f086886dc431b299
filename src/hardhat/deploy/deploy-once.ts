import type { Account, TransactionReceipt } from "viem";
import { getTransactionCount } from "viem/actions";
import type { ChainClient } from "../../chain/chain-client.ts";
import { type DeployAppParameters, deployApp } from "../../chain/deploy-app.ts";
import { encodeDeployApp } from "../../chain/encode-deploy-app.ts";
import type { PreparedTransaction } from "../../chain/prepared-transaction.ts";
import { readCode } from "../../chain/read-code.ts";
import { readIsKnown } from "../../chain/read-is-known.ts";
import { sendPreparedTransaction } from "../../chain/send-prepared-transaction.ts";
import { duringRpc } from "../../chain/translate-chain-error.ts";
import { waitForReceipt } from "../../chain/wait-for-receipt.ts";
import { deployedApp } from "../../core/deployed-app.ts";
import type { AppId, TransactionHash } from "../../core/ids.ts";
import { NonceTakenError, TransactionRevertedError } from "../../errors/index.ts";
import type { DeploymentJournal, DeploymentRecord } from "./deployment-journal.ts";

export interface DeployOnceParameters
  extends Omit<DeployAppParameters, "account" | "chainId" | "nonce" | "beforeSend"> {
  readonly account: Account;
  readonly chainId: number;
  readonly journal: DeploymentJournal;
  /** Deploys one more although the same app was deployed before. */
  readonly again: boolean;
}

export interface DeployOnceReturnType {
  readonly appId: AppId;
  readonly transactionHash: TransactionHash | undefined;
  /** Undefined for an app that an earlier run had seen deployed. */
  readonly receipt: TransactionReceipt | undefined;
  /** Whether an earlier run had signed it. */
  readonly isFromRecord: boolean;
}

/**
 * Deploys an app unless the journal shows that the same command has done so already: equal parameters, signer, KMS and
 * chain. What was signed and not seen mined is sent again, as the same bytes.
 *
 * @throws what deployApp and waitForReceipt throw, ReceiptMismatchError
 */
export async function deployOnce(client: ChainClient, parameters: DeployOnceParameters): Promise<DeployOnceReturnType> {
  const { account, chainId, journal, again, ...app } = parameters;
  const { to, data } = encodeDeployApp(app);
  const record = again ? undefined : journal.find({ chainId, from: account.address, to, data });
  const earlier = record && (await takeUp(client, journal, record));
  if (earlier !== undefined) return earlier;

  let prepared: PreparedTransaction | undefined;
  const transactionHash = await deployApp(client, {
    ...app,
    account,
    chainId,
    beforeSend: async (transaction) => {
      await journal.prepared(transaction);
      prepared = transaction;
    },
  });
  if (prepared === undefined) throw new TypeError("A transaction was sent and never prepared.");
  if (prepared.transactionHash === undefined) await journal.sent(prepared, transactionHash);
  return { ...(await follow(client, journal, prepared, transactionHash)), isFromRecord: false };
}

/** Undefined if nothing came, or can come, of what was recorded. */
async function takeUp(
  client: ChainClient,
  journal: DeploymentJournal,
  { transaction, appId }: DeploymentRecord,
): Promise<DeployOnceReturnType | undefined> {
  if (appId !== undefined) {
    // A local chain that began anew has forgotten the app.
    if ((await readCode(client, { address: appId })) === "0x") return undefined;
    return { appId, transactionHash: transaction.transactionHash, receipt: undefined, isFromRecord: true };
  }
  try {
    const transactionHash = await sendPreparedTransaction(client, transaction);
    return { ...(await follow(client, journal, transaction, transactionHash)), isFromRecord: true };
  } catch (error) {
    if (error instanceof TransactionRevertedError) return undefined;
    if (!(error instanceof NonceTakenError) || !(await isReplaced(client, transaction))) throw error;
    await journal.givenUp(transaction);
    return undefined;
  }
}

async function follow(
  client: ChainClient,
  journal: DeploymentJournal,
  transaction: PreparedTransaction,
  transactionHash: TransactionHash,
) {
  try {
    const receipt = await waitForReceipt(client, { transactionHash, functionName: transaction.functionName });
    const appId = deployedApp(receipt, { kms: transaction.to });
    await journal.deployed(transaction, appId);
    return { appId, transactionHash, receipt };
  } catch (error) {
    if (error instanceof TransactionRevertedError) await journal.givenUp(transaction);
    throw error;
  }
}

/** Whether a mined transaction has the nonce and it is certainly not this one. */
async function isReplaced(client: ChainClient, { from, nonce, transactionHash }: PreparedTransaction) {
  if (transactionHash === undefined) return false;
  const used = await duringRpc("reading the nonce", () =>
    getTransactionCount(client, { address: from, blockTag: "latest" }),
  );
  return used > nonce && !(await readIsKnown(client, transactionHash));
}
