import { type Account, type TransactionReceipt, TransactionReceiptNotFoundError } from "viem";
import { getTransactionReceipt } from "viem/actions";
import type { ChainClient } from "../../chain/client.ts";
import { type DeployAppParameters, deployApp } from "../../chain/deploy-app.ts";
import { encodeDeployApp } from "../../chain/encode-deploy-app.ts";
import { duringRpc } from "../../chain/rpc-errors.ts";
import { readIsRecorded, sendPreparedTransaction } from "../../chain/transactions/broadcast.ts";
import type { DeploymentJournal, DeploymentRecord } from "../../chain/transactions/deployment-journal.ts";
import { findNonceTaker } from "../../chain/transactions/find.ts";
import type { PreparedTransaction } from "../../chain/transactions/prepare.ts";
import { waitForReceipt } from "../../chain/transactions/receipt.ts";
import { deployedApp } from "../../core/events.ts";
import type { AppId, TransactionHash } from "../../core/ids.ts";
import {
  InvalidArgumentError,
  JournalCorruptError,
  NonceTakenError,
  TransactionRevertedError,
} from "../../errors/index.ts";

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
 * chain. What was signed and not seen mined is sent again, as the same bytes; what a node or a wallet signed is looked
 * for by its nonce.
 *
 * @throws NonceTakenError if another transaction took the nonce of a recorded one, or what took it cannot be found
 * @throws JournalCorruptError, InvalidArgumentError if the journal names an app that nothing shows to be the one
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
  record: DeploymentRecord,
): Promise<DeployOnceReturnType | undefined> {
  const { transaction, appId } = record;
  if (appId !== undefined) {
    const transactionHash = await findDeployment(client, { journal, record, appId });
    if (transactionHash === undefined) return undefined;
    return { appId, transactionHash, receipt: undefined, isFromRecord: true };
  }
  try {
    const transactionHash = await takenUpAs(client, journal, transaction);
    if (transactionHash === undefined) return undefined;
    return { ...(await follow(client, journal, transaction, transactionHash)), isFromRecord: true };
  } catch (error) {
    if (error instanceof TransactionRevertedError) return undefined;
    throw error;
  }
}

interface FindDeploymentParameters {
  readonly journal: DeploymentJournal;
  readonly record: DeploymentRecord;
  readonly appId: AppId;
}

/**
 * The transaction that deployed the app which the journal names. The journal may come from a repository, and that a KMS
 * knows an app which the owner owns proves nothing: anybody can deploy one for the owner, with a compose hash of theirs.
 * So the receipt of the recorded call must name it. Undefined if the call was never mined on this chain, such as a local
 * one that began anew.
 *
 * @throws JournalCorruptError if the call deployed another app, or none
 * @throws InvalidArgumentError if the endpoint has no receipt to tell
 */
async function findDeployment(
  client: ChainClient,
  { journal, record, appId }: FindDeploymentParameters,
): Promise<TransactionHash | undefined> {
  const { transaction, line } = record;
  const isThere = await readIsRecorded(client, transaction);
  const taker = isThere ? undefined : await findNonceTaker(client, transaction);
  if (taker?.kind === "waiting" || taker?.kind === "mined") return undefined;
  const transactionHash = taker?.kind === "same" ? taker.transactionHash : transaction.transactionHash;
  const receipt = transactionHash && taker?.kind !== "notFound" && (await readReceipt(client, transactionHash));
  if (!receipt) {
    throw new InvalidArgumentError(
      `The journal ${journal.path} names app ${appId}, and the endpoint has no receipt that shows who deployed it.`,
      {
        nextStep: "Nothing was sent. Use an endpoint with old receipts. To deploy one more app instead: --again.",
        context: { path: journal.path, line, appId, transactionHash },
      },
    );
  }
  const deployed = receipt.status === "success" ? deployedApp(receipt, { kms: transaction.to }) : undefined;
  if (deployed === appId) return receipt.transactionHash as TransactionHash; // the node's own
  const problem = `it names app ${appId}, and transaction ${transactionHash} deployed ${deployed ?? "none"}`;
  throw new JournalCorruptError(journal.path, line, { problem });
}

async function readReceipt(client: ChainClient, hash: TransactionHash): Promise<TransactionReceipt | undefined> {
  return duringRpc("reading the receipt of the deployment", () =>
    getTransactionReceipt(client, { hash }).catch((error: unknown) => {
      if (error instanceof TransactionReceiptNotFoundError) return undefined;
      throw error;
    }),
  );
}

/** The hash under which the recorded transaction was sent; undefined if its bytes can never be mined any more. */
async function takenUpAs(
  client: ChainClient,
  journal: DeploymentJournal,
  transaction: PreparedTransaction,
): Promise<TransactionHash | undefined> {
  try {
    const transactionHash = await sendPreparedTransaction(client, transaction);
    if (transaction.transactionHash === undefined) await journal.sent(transaction, transactionHash);
    return transactionHash;
  } catch (error) {
    if (!(error instanceof NonceTakenError)) throw error;
    const { from, nonce, transactionHash, rawTransaction } = transaction;
    const taker = error.taker ?? (await findNonceTaker(client, transaction));
    if (taker.kind === "same") return taker.transactionHash;
    if (taker.kind === "mined") await journal.givenUp(transaction);
    if (taker.kind === "mined" && rawTransaction !== undefined) return undefined;
    throw new NonceTakenError(from, nonce, transactionHash, taker);
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
