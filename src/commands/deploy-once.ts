import { isAddressEqual, type TransactionReceipt } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { deploymentOf } from "../chain/deploy-app.ts";
import { encodeDeployApp, type NewApp } from "../chain/encode-deploy-app.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import type { LedgerTransaction } from "../chain/transactions/ledger-records.ts";
import { readReceipt } from "../chain/transactions/receipt.ts";
import { openSender, type Sender } from "../chain/transactions/sender.ts";
import type { SenderParameters } from "../chain/transactions/sender-parameters.ts";
import { readGasLimit } from "../chain/transactions/simulate.ts";
import { deployedApp } from "../core/events.ts";
import { type AppId, parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { gasCeilingOf } from "../core/order-calls.ts";
import { InvalidArgumentError, LedgerError, ReceiptMismatchError } from "../errors/index.ts";

export interface DeployOnceParameters extends SenderParameters, NewApp {
  readonly ledger: Ledger;
  /** Deploys another app even if the same app was deployed before. */
  readonly again: boolean;
}

export interface DeployOnceReturnType {
  readonly appId: AppId;
  readonly transactionHash: TransactionHash;
  readonly receipt: TransactionReceipt;
  /** Whether an earlier run had signed it. */
  readonly isFromRecord: boolean;
}

/**
 * Deploys an app unless the ledger shows that a run with equal parameters, signer, KMS and chain has already done so.
 * The ledger keeps such a command open: unlike other calls, a deployment has an effect every time. Its receipt is read
 * again in each run, and it alone says which app was deployed.
 *
 * @throws LedgerError, InvalidArgumentError if the endpoint does not have the receipt of a recorded deployment
 * @throws TransactionRevertedError if a recorded one reverted: the user decides to pay once more
 * @throws NotOwnerError, ContractRevertedError, NoContractError before anything is sent, and what openSender, resume,
 * send and finish throw
 */
export async function deployOnce(
  client: ChainClient,
  { again, ...parameters }: DeployOnceParameters,
): Promise<DeployOnceReturnType> {
  const { to, data, abi, functionName } = encodeDeployApp(parameters);
  using sender = await openSender(client, parameters, {
    ...{ purpose: deploymentOf(parameters), calls: [], title: functionName, mayRepeat: true },
    prove: (receipt, transaction) => void provenApp(receipt, transaction),
  });
  if (again) endFinished(sender);
  for (const transaction of sender.readRecorded().own) await requireReceipt(sender, transaction);
  await sender.resume();
  if (!sender.sent.some(isDeployed)) {
    const from = sender.context.account.address;
    const ceiling = gasCeilingOf({ functionName });
    const gas = await readGasLimit(client, { from, to, data, abi, functionName, ceiling });
    await sender.send([{ to, data, functionName, gas, calls: [] }]);
  }
  await sender.finish();
  const deployment = sender.sent.findLast(isDeployed);
  if (deployment?.receipt === undefined) throw new TypeError("A deployment was waited for.");
  const { transaction, receipt, isFromRecord } = deployment;
  const transactionHash = parseTransactionHash(receipt.transactionHash);
  return { appId: provenApp(receipt, transaction), transactionHash, receipt, isFromRecord };
}

/**
 * The app that a recorded deployment made. Anyone can make the KMS deploy an app of this owner, with a compose hash of
 * their own. Therefore the receipt must be of a transaction that the signer sent to the KMS.
 *
 * @throws ReceiptMismatchError
 */
function provenApp(receipt: TransactionReceipt, { from, to }: LedgerTransaction): AppId {
  const isOurs = isAddressEqual(receipt.from, from) && receipt.to !== null && isAddressEqual(receipt.to, to);
  if (isOurs) return deployedApp(receipt, { kms: to });
  const { transactionHash } = receipt;
  const wanted = { emitter: to, eventName: "AppDeployedViaFactory", expected: `a deployment by ${from}` };
  throw new ReceiptMismatchError({ transactionHash, ...wanted, found: [] });
}

function isDeployed({ transaction }: { readonly transaction: LedgerTransaction }): boolean {
  return transaction.state === "mined";
}

/** Lets the same command begin anew, unless an earlier run of it still has to be completed. */
function endFinished(sender: Sender): void {
  if (sender.readRecorded().own.every(({ state }) => state === "mined")) sender.complete();
}

/**
 * An endpoint without old receipts cannot show which app a recorded deployment made. A development chain can be set back
 * to a time before it; the sender then sends the same bytes again.
 */
async function requireReceipt({ context }: Sender, { state, proof }: LedgerTransaction): Promise<void> {
  const { client, ledger, identity } = context;
  if (state !== "mined" || identity.isDevelopment) return;
  if (proof === undefined) throw new LedgerError(ledger.path, "damaged", { detail: "a mined transaction has no hash" });
  const { transactionHash } = proof;
  if ((await readReceipt(client, transactionHash)) !== undefined) return;
  throw new InvalidArgumentError(
    `The endpoint has no receipt of transaction ${transactionHash}, which the ledger ${ledger.path} names as the deployment of this app.`,
    {
      nextStep: "Nothing was sent. Use an endpoint with old receipts, or pass `again` to deploy one more app.",
      context: { path: ledger.path, transactionHash },
    },
  );
}
