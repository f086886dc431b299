import {
  type Account,
  type Address,
  checksumAddress,
  isAddressEqual,
  type TransactionReceipt,
  TransactionReceiptNotFoundError,
} from "viem";
import { parseAccount } from "viem/accounts";
import { getTransactionReceipt } from "viem/actions";
import { type ChainClient, parseAddress } from "../chain/client.ts";
import { type DeployAppParameters, deployApp } from "../chain/deploy-app.ts";
import { encodeDeployApp } from "../chain/encode-deploy-app.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { readIsRecorded, sendPreparedTransaction } from "../chain/transactions/broadcast.ts";
import {
  type DeploymentJournal,
  type DeploymentRecord,
  openDeploymentJournal,
} from "../chain/transactions/deployment-journal.ts";
import { findNonceTaker } from "../chain/transactions/find.ts";
import { type PreparedTransaction, readNextNonce } from "../chain/transactions/prepare.ts";
import { costOf, estimatePrice } from "../chain/transactions/price.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import { readGas, simulateCall } from "../chain/transactions/simulate.ts";
import { deployedApp } from "../core/events.ts";
import { caveatOf, type JudgedContract, requireNoKeyEpochs } from "../core/generation.ts";
import { type AppId, type ComposeHash, type DeviceId, parseComposeHash, type TransactionHash } from "../core/ids.ts";
import type { LintSubject } from "../core/lint/rule.ts";
import { gasCeilingOf } from "../core/order-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import {
  InvalidArgumentError,
  JournalCorruptError,
  NonceTakenError,
  TransactionRevertedError,
  UnsignedRecordError,
} from "../errors/index.ts";
import { describeOwner } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { formatFee, formatGas, showPrice } from "../output/price.ts";
import { parseAccept, prepareJournalPath } from "./arguments.ts";
import { type DryRunArguments, readPayer, showDryRun, tipLimit } from "./batch-plan.ts";
import { connectCloud, readConfiguredKms } from "./connect-app.ts";
import { type KmsArguments, requireDstackKms, requireKms, resolveKms } from "./connect-kms.ts";
import { showCaveat } from "./generations.ts";
import type { Command, CommandHost, ConnectedChain, ReadSignerParameters } from "./host.ts";
import { lintAndShow } from "./lint.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { parseDevices, showNamedDevices } from "./values.ts";
import { confirmUnsigned } from "./write.ts";

export interface AppDeployArguments extends KmsArguments, DryRunArguments, OutputArguments {
  readonly owner?: string | undefined;
  readonly hash?: string | undefined;
  /** A device id or the name of a node. */
  readonly device?: string | undefined;
  readonly allowAnyDevice?: boolean | undefined;
  readonly requireTcbUpToDate?: boolean | undefined;
  readonly disableUpgrades?: boolean | undefined;
  readonly again?: boolean | undefined;
  readonly journal?: string | undefined;
  readonly accept?: string | undefined;
}

export const appDeploy: Command<AppDeployArguments> = (args, host) => runTask(args, (io) => deploy(io, args, host));

/** The parameters of the new app. */
interface Plan {
  readonly kms: Address;
  readonly owner: Address;
  readonly composeHash: ComposeHash | undefined;
  readonly deviceId: DeviceId | undefined;
  readonly allowAnyDevice: boolean;
  readonly requireTcbUpToDate: boolean;
  readonly disableUpgrades: boolean;
}

async function deploy(io: TaskIo, args: AppDeployArguments, host: CommandHost): Promise<TaskOutcome> {
  const accepted = parseAccept("app deploy", args.accept);
  const composeHash = args.hash === undefined ? undefined : parseComposeHash(args.hash);
  const kms = requireKms(resolveKms(args, { configuredKms: await readConfiguredKms(host) }));
  const wanted = args.owner === undefined ? undefined : parseAddress("The owner's address", args.owner);
  const devices = args.device === undefined ? [] : await parseDevices([args.device], await connectCloud(host));
  const chain = await host.connectChain();
  const generation = await requireDstackKms(chain.client, kms);
  const contracts: readonly JudgedContract[] = [{ role: "KMS", address: kms, generation }];
  requireNoKeyEpochs(contracts, accepted.has("key-epochs"));
  showCaveat(io.output, contracts);
  const account = await readAccount(io, args, { host, chain, wanted });
  const { allowAnyDevice = false, requireTcbUpToDate = false, disableUpgrades = false } = args;
  const owner = wanted ?? parseAddress("The signer's address", account.address);
  const flags = { allowAnyDevice, requireTcbUpToDate, disableUpgrades };
  const plan: Plan = { kms, owner, composeHash, deviceId: devices[0]?.deviceId, ...flags };
  const ownerFacts = await readOwner(chain.client, { address: owner });
  lint(io.output, plan, ownerFacts, accepted);
  showPlan(io.output, plan, { chain, signer: account.address, ownerFacts });
  const namedDevices = showNamedDevices(io.output, devices);

  const described = { namedDevices, generation, caveat: caveatOf(contracts) };
  if (args.dryRun) {
    const price = await showDeploymentPrice(io, chain, plan, account.address);
    showDryRun(io);
    return { result: { outcome: "planned", chainId: chain.chainId, ...plan, price, ...described } };
  }
  const journal = await openDeploymentJournal(await prepareJournalPath(host.root, args.journal, "deployments.jsonl"));
  try {
    const { chainId } = chain;
    const recorded = args.again
      ? undefined
      : journal.find({ chainId, from: account.address, ...encodeDeployApp(plan) });
    if (recorded !== undefined) requireSigned(account, recorded);
    if (recorded !== undefined) showRecorded(io.output, recorded);
    // A recorded one was signed with fees of its own.
    const price = recorded === undefined ? await showDeploymentPrice(io, chain, plan, account.address) : null;
    await io.confirm("Deploy this app?");
    const deployed = await deployOnce(chain.client, {
      ...{ ...plan, account, chainId, journal, again: args.again === true },
      confirmUnsigned: ({ transaction }) => confirmUnsigned(io)(transaction),
    });
    const result = { ...describe(plan, chainId, deployed), price, ...described };
    return { result, show: (output) => show(output, deployed) };
  } finally {
    await journal.close();
  }
}

/** The account that signs. A dry run without a key takes the address of `--owner`, if it is given. */
async function readAccount(
  io: TaskIo,
  { dryRun }: DryRunArguments,
  { host, ...signing }: Pick<ReadSignerParameters, "chain" | "wanted"> & { readonly host: CommandHost },
): Promise<Account> {
  const readSigner = () => host.readSigner({ ...signing, purpose: "deployAndRegisterApp" });
  if (dryRun !== true || signing.wanted === undefined) return readSigner();
  return parseAccount(await readPayer(io, { readSigner, signer: signing.wanted }));
}

/** Simulates the deployment, and shows what it will cost. */
async function showDeploymentPrice(
  { output }: TaskIo,
  { client }: ConnectedChain,
  plan: Plan,
  from: Address,
): Promise<PriceEstimate> {
  const call = { from, ...encodeDeployApp(plan) };
  await simulateCall(client, call);
  const ceiling = gasCeilingOf(call.functionName);
  const gas = await readGas(client, { ...call, ceiling });
  const price = await estimatePrice(client, { transactions: [{ ...call, ...gas, gasCeiling: ceiling }] });
  output.line(`  ${tipLimit}`);
  showPrice(output, price);
  return price;
}

/** Information the user must see before they agree: the recorded deployment is completed, so no second app is made. */
function showRecorded(
  output: Output,
  { transaction: { nonce, rawTransaction, transactionHash }, appId }: DeploymentRecord,
): void {
  const known = transactionHash ?? "transaction hash not recorded";
  const who = rawTransaction === undefined ? "the journal says that a node or wallet" : "an earlier run";
  output.line(`  recorded         ${who} signed this same deployment, nonce ${nonce}, ${known}`);
  output.line(
    appId === undefined
      ? "                   this run sends it again; --again deploys another app"
      : `                   its receipt must show that it deployed ${appId}; --again deploys another app`,
  );
}

/** Lints the values and the owner; the app itself does not exist yet. @throws LintRefusedError */
function lint(
  output: Output,
  { kms, composeHash, deviceId, ...flags }: Plan,
  ownerFacts: ReadOwnerReturnType,
  accepted: ReadonlySet<string>,
): void {
  const subject: LintSubject = {
    app: {
      appId: "0x",
      hasCode: true,
      isKms: false,
      policy: {
        owner: ownerFacts,
        pendingOwner: undefined,
        isTwoStep: true,
        allowAnyDevice: flags.allowAnyDevice,
        upgradesDisabled: flags.disableUpgrades,
        shiftedAppId: undefined,
        implementation: undefined,
        composeHashes: composeHash === undefined ? [] : [composeHash],
        devices: deviceId === undefined ? [] : [deviceId],
      },
    },
    kms: { address: kms, appImplementation: undefined },
    calls: [
      ...(composeHash === undefined ? [] : [{ functionName: "addComposeHash", args: [composeHash] }]),
      ...(deviceId === undefined ? [] : [{ functionName: "addDevice", args: [deviceId] }]),
    ],
  };
  lintAndShow(output, subject, accepted);
}

interface Signing {
  readonly chain: ConnectedChain;
  readonly signer: Address;
  readonly ownerFacts: ReadOwnerReturnType;
}

function showPlan(output: Output, plan: Plan, { chain, signer, ownerFacts }: Signing): void {
  output.title(`New app of the KMS ${plan.kms} on ${chain.network}, chain ${chain.chainId}`);
  const other = isAddressEqual(plan.owner, signer) ? "" : "; not the signer";
  output.line(`  owner            ${checksumAddress(plan.owner)}  ${describeOwner(ownerFacts)}${other}`);
  output.line(`  signed by        ${signer}`);
  output.line(`  compose hash     ${plan.composeHash ?? "none"}`);
  output.line(`  device           ${plan.allowAnyDevice ? "any" : (plan.deviceId ?? "none")}`);
  output.line(`  TCB              ${plan.requireTcbUpToDate ? "must be up to date" : "any status may boot"}`);
  output.line(`  upgrades         ${plan.disableUpgrades ? "disabled permanently" : "possible"}`);
}

function describe(plan: Plan, chainId: number, { receipt, ...deployed }: DeployOnceReturnType) {
  return {
    ...deployed,
    chainId,
    ...plan,
    blockNumber: receipt?.blockNumber,
    gasUsed: receipt?.gasUsed,
    costWei: receipt && costOf(receipt),
  };
}

function show(output: Output, { appId, transactionHash, receipt, isFromRecord }: DeployOnceReturnType): void {
  if (isFromRecord) output.line("  An earlier run signed this same deployment; --again deploys another app.");
  if (receipt !== undefined) {
    const { blockNumber, gasUsed } = receipt;
    output.step("deployed", `${transactionHash}, block ${blockNumber}`);
    output.line(`    ${formatGas(gasUsed)}, ${formatFee(costOf(receipt))}`);
  }
  output.line(`\n${receipt === undefined ? "An earlier run deployed" : "Deployed"} app ${appId}.`);
}

export interface DeployOnceParameters
  extends Omit<DeployAppParameters, "account" | "chainId" | "nonce" | "beforeSend"> {
  readonly account: Account;
  readonly chainId: number;
  readonly journal: DeploymentJournal;
  /** Deploys another app even if the same app was deployed before. */
  readonly again: boolean;
  /**
   * Called before a node or a wallet is asked to sign a recorded deployment that the journal holds without signed bytes.
   * If it throws, nothing is sent. Without it the command stops there (UnsignedRecordError).
   */
  readonly confirmUnsigned?: ((record: Pick<DeploymentRecord, "transaction">) => Promise<void> | void) | undefined;
}

export interface DeployOnceReturnType {
  readonly appId: AppId;
  readonly transactionHash: TransactionHash | undefined;
  /** Undefined if an earlier run already saw the app deployed. */
  readonly receipt: TransactionReceipt | undefined;
  /** Whether an earlier run had signed it. */
  readonly isFromRecord: boolean;
}

/**
 * Deploys an app unless the journal shows that a run with equal parameters, signer, KMS and chain has already done so.
 * If a recorded transaction was not seen mined, the same bytes are sent again. If a node or a wallet signed it, it is
 * found by its nonce.
 *
 * @throws NonceTakenError if another transaction took the nonce of a recorded one, or if the transaction that took it
 * cannot be found
 * @throws UnsignedRecordError if a record without signed bytes would have to be sent and no caller confirmed it
 * @throws TransactionRevertedError if the endpoint says that a recorded one reverted: the user decides to pay once more
 * @throws JournalCorruptError, InvalidArgumentError if no receipt confirms the app that the journal names
 * @throws what deployApp and waitForReceipt throw, ReceiptMismatchError
 */
export async function deployOnce(client: ChainClient, parameters: DeployOnceParameters): Promise<DeployOnceReturnType> {
  const { account, chainId, journal, again, confirmUnsigned, ...app } = parameters;
  const { to, data } = encodeDeployApp(app);
  const record = again ? undefined : journal.find({ chainId, from: account.address, to, data });
  if (record !== undefined) requireSigned(account, record);
  const earlier = record && (await takeUp(client, { journal, record, confirmUnsigned }));
  if (earlier !== undefined && "appId" in earlier) return earlier;

  let prepared: PreparedTransaction | undefined;
  const transactionHash = await deployApp(client, {
    ...app,
    account,
    chainId,
    nonce: earlier?.nonce,
    beforeSend: async (transaction) => {
      await journal.prepared(transaction);
      prepared = transaction;
    },
  });
  if (prepared === undefined) throw new TypeError("A transaction was sent and never prepared.");
  if (prepared.transactionHash === undefined) await journal.sent(prepared, transactionHash);
  return { ...(await follow(client, journal, prepared, transactionHash)), isFromRecord: false };
}

/** Where the key is in this process, every record of it holds the bytes that the key signed. */
function requireSigned({ type }: Account, { transaction }: DeploymentRecord): void {
  if (type === "local" && transaction.rawTransaction === undefined)
    throw new UnsignedRecordError({ ...transaction, isKeyHere: true });
}

interface TakeUpParameters extends Pick<DeployOnceParameters, "journal" | "confirmUnsigned"> {
  readonly record: DeploymentRecord;
}

/** The nonce that another deployment must have. */
interface Retry {
  readonly nonce: number;
}

/** Completes a recorded deployment. Returns undefined, or the nonce for another one, if it can never be mined. */
async function takeUp(
  client: ChainClient,
  { journal, record, confirmUnsigned }: TakeUpParameters,
): Promise<DeployOnceReturnType | Retry | undefined> {
  const { transaction, appId } = record;
  if (appId !== undefined) {
    const transactionHash = await findDeployment(client, { journal, record, appId });
    if (typeof transactionHash !== "string") return transactionHash;
    return { appId, transactionHash, receipt: undefined, isFromRecord: true };
  }
  const transactionHash = await takenUpAs(client, { journal, record, confirmUnsigned });
  if (transactionHash === undefined) return undefined;
  return { ...(await follow(client, journal, transaction, transactionHash)), isFromRecord: true };
}

interface FindDeploymentParameters {
  readonly journal: DeploymentJournal;
  readonly record: DeploymentRecord;
  readonly appId: AppId;
}

/**
 * Finds the transaction that deployed the app which the journal names. The journal may come from a repository. A KMS
 * that knows an app of this owner proves nothing: anyone can deploy an app for the owner, with their own compose hash.
 * Therefore the receipt of the recorded call must name the app. Undefined if another transaction of the signer has the
 * nonce. A nonce if the recorded one is free, for example after a local chain was restarted.
 *
 * @throws JournalCorruptError if the call deployed another app, or none
 * @throws InvalidArgumentError if the endpoint does not have the receipt
 */
async function findDeployment(
  client: ChainClient,
  { journal, record, appId }: FindDeploymentParameters,
): Promise<TransactionHash | Retry | undefined> {
  const { transaction, line } = record;
  const isThere = await readIsRecorded(client, transaction);
  const taker = isThere ? undefined : await findNonceTaker(client, transaction);
  if (taker?.kind === "mined") return undefined;
  if (taker?.kind === "waiting") return { nonce: await readFreeNonce(client, transaction) };
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

/**
 * The endpoint alone says that the recorded nonce is free. A transaction with that nonce, or a lower one, is never mined
 * where it is not, so nothing is paid twice.
 */
async function readFreeNonce(
  client: ChainClient,
  { from, nonce, transactionHash }: PreparedTransaction,
): Promise<number> {
  const next = await readNextNonce(client, { address: from });
  if (next > nonce) throw new NonceTakenError(from, nonce, transactionHash, { kind: "waiting" });
  return next;
}

async function readReceipt(client: ChainClient, hash: TransactionHash): Promise<TransactionReceipt | undefined> {
  return withRpcErrors(client, "reading the receipt of the deployment", () =>
    getTransactionReceipt(client, { hash }).catch((error: unknown) => {
      if (error instanceof TransactionReceiptNotFoundError) return undefined;
      throw error;
    }),
  );
}

/** The hash under which the recorded transaction was sent; undefined if its bytes can never be mined. */
async function takenUpAs(
  client: ChainClient,
  { journal, record: { transaction }, ...asking }: TakeUpParameters,
): Promise<TransactionHash | undefined> {
  const confirmUnsigned = async () => {
    if (asking.confirmUnsigned === undefined) throw new UnsignedRecordError({ ...transaction, isKeyHere: false });
    await asking.confirmUnsigned({ transaction });
  };
  try {
    const transactionHash = await sendPreparedTransaction(client, transaction, { confirmUnsigned });
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
