import { type Account, type Address, checksumAddress, isAddressEqual } from "viem";
import { parseAccount } from "viem/accounts";
import { parseAddress } from "../chain/client.ts";
import { deploymentOf } from "../chain/deploy-app.ts";
import { encodeDeployApp } from "../chain/encode-deploy-app.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import { type NamedFees, readFees } from "../chain/transactions/fees.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { type LedgerTransaction, lastAttempt } from "../chain/transactions/ledger-records.ts";
import { costOf, estimatePrice } from "../chain/transactions/price.ts";
import { readRecorded } from "../chain/transactions/recorded.ts";
import { readGas, simulateCall } from "../chain/transactions/simulate.ts";
import { caveatOf, type JudgedContract, requireNoKeyEpochs } from "../core/generation.ts";
import { parseComposeHash } from "../core/ids.ts";
import type { LintFinding } from "../core/lint/lint.ts";
import type { LintSubject } from "../core/lint/rule.ts";
import { gasCeilingOf } from "../core/order-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { describeOwner } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { formatFee, formatGas, showPrice } from "../output/price.ts";
import { parseAccept } from "./arguments.ts";
import { type DryRunArguments, readPayer, showDryRun, tipLimitOf } from "./batch-plan.ts";
import { connectCloud, readConfiguredKms } from "./connect-app.ts";
import { confirmKms, type KmsArguments, resolveKms } from "./connect-kms.ts";
import { requireDeployable } from "./deploy-contracts.ts";
import { type DeployOnceReturnType, deployOnce } from "./deploy-once.ts";
import type { AppPlan } from "./deploy-own-app.ts";
import { showCaveat } from "./generations.ts";
import type { Command, CommandHost, ConnectedChain, ReadSignerParameters } from "./host.ts";
import { lintAndShow } from "./lint.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { createSending, parseSending, type SendingArguments, showEvents } from "./sending.ts";
import { openTaskLedger } from "./signing.ts";
import { parseDevices, showNamedDevices } from "./values.ts";
import { confirmUnsigned } from "./write.ts";

export interface AppDeployArguments extends KmsArguments, SendingArguments, DryRunArguments, OutputArguments {
  readonly owner?: string | undefined;
  readonly hash?: string | undefined;
  /** A device id or the name of a node. */
  readonly device?: string | undefined;
  readonly allowAnyDevice?: boolean | undefined;
  readonly requireTcbUpToDate?: boolean | undefined;
  readonly disableUpgrades?: boolean | undefined;
  readonly again?: boolean | undefined;
  readonly accept?: string | undefined;
  /** The contract of the project to deploy. @default the implementation of the KMS, through its factory */
  readonly contract?: string | undefined;
  /** The call that initialises it. @default DstackApp's `initialize` with the values above */
  readonly initialize?: string | undefined;
}

export const appDeploy: Command<AppDeployArguments> = (args, host) => runTask(args, (io) => deploy(io, args, host));

async function deploy(io: TaskIo, args: AppDeployArguments, host: CommandHost): Promise<TaskOutcome> {
  const accepted = parseAccept("app deploy", args.accept);
  const choices = parseSending(args, host.settings);
  if (args.initialize !== undefined && args.contract === undefined) throw initializesNothing();
  const contract = args.contract === undefined ? undefined : requireDeployable(await host.readContract(args.contract));
  const composeHash = args.hash === undefined ? undefined : parseComposeHash(args.hash);
  const named = resolveKms(args, { configuredKms: await readConfiguredKms(host) });
  const wanted = args.owner === undefined ? undefined : parseAddress("The owner's address", args.owner);
  const devices = args.device === undefined ? [] : await parseDevices([args.device], await connectCloud(host));
  const chain = await host.connectChain();
  const { kms, generation } = await confirmKms(named, chain, io);
  const contracts: readonly JudgedContract[] = [{ role: "KMS", address: kms, generation }];
  requireNoKeyEpochs(contracts, accepted.has("key-epochs"));
  showCaveat(io.output, contracts);
  const account = await readAccount(io, args, { host, chain, wanted });
  const { allowAnyDevice = false, requireTcbUpToDate = false, disableUpgrades = false } = args;
  const owner = wanted ?? parseAddress("The signer's address", account.address);
  const flags = { allowAnyDevice, requireTcbUpToDate, disableUpgrades };
  const plan: AppPlan = { kms, owner, composeHash, deviceId: devices[0]?.deviceId, ...flags };
  const ownerFacts = await readOwner(chain.client, { address: owner });
  const findings = lint(io.output, plan, ownerFacts, accepted);
  showPlan(io.output, plan, { chain, signer: account.address, ownerFacts });
  const namedDevices = showNamedDevices(io.output, devices);

  const described = { namedDevices, generation, caveat: caveatOf(contracts), findings };
  if (contract !== undefined) {
    const { deployOwnApp } = await import("./deploy-own-app.ts");
    return deployOwnApp(io, args, { host, chain, choices, plan, account, contract, accepted, described });
  }
  const pricing = { from: account.address, choices };
  if (args.dryRun) {
    const price = await showDeploymentPrice(io, chain, plan, pricing);
    showDryRun(io);
    return { result: { outcome: "planned", chainId: chain.chainId, ...plan, price, ...described } };
  }
  using ledger = await openTaskLedger(args, host);
  const { chainId, client } = chain;
  const again = args.again === true;
  const recorded = await showRecorded(io.output, chain, { plan, ledger, account, again });
  // A recorded one was signed with fees of its own.
  const price = recorded === undefined ? await showDeploymentPrice(io, chain, plan, pricing) : null;
  await io.confirm("Deploy this app?");
  const deployed = await deployOnce(client, {
    ...{ ...plan, account, chainId, ledger, again },
    ...createSending(io, chain, { choices, ledger, account }),
    confirmUnsigned: confirmUnsigned(io),
    onEvent: showEvents(io),
  });
  const result = { ...describe(plan, chainId, deployed), price, ...described };
  return { result, show: (output) => show(output, deployed) };
}

function initializesNothing(): InvalidArgumentError {
  return new InvalidArgumentError("--initialize needs --contract: the factory of the KMS initialises its own apps.", {
    nextStep: "Give --contract NAME, or leave --initialize out.",
  });
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
  plan: AppPlan,
  { from, choices }: { readonly from: Address; readonly choices: NamedFees },
): Promise<PriceEstimate> {
  const call = { from, ...encodeDeployApp(plan) };
  await simulateCall(client, call);
  const ceiling = gasCeilingOf(call);
  const gas = await readGas(client, { ...call, ceiling });
  const transactions = [{ ...call, ...gas, gasCeiling: ceiling }];
  const price = await estimatePrice(client, { transactions, fees: await readFees(client, choices) });
  output.line(`  ${tipLimitOf(choices)}`);
  showPrice(output, price);
  return price;
}

interface ShowRecordedParameters {
  readonly plan: AppPlan;
  readonly ledger: Ledger;
  readonly account: Account;
  readonly again: boolean;
}

/**
 * Shows what the user must see before they agree: a recorded deployment is completed, so no second app is made.
 *
 * @throws UnsignedRecordError, LedgerError, RpcUnavailableError
 */
async function showRecorded(
  output: Output,
  { client, chainId }: ConnectedChain,
  { plan, again, ...signing }: ShowRecordedParameters,
): Promise<LedgerTransaction | undefined> {
  const { own, others } = await readRecorded(client, { ...signing, chainId, purpose: deploymentOf(plan), calls: [] });
  for (const { functionName, nonce, to } of others)
    output.line(`  first completes what an earlier run recorded (nonce ${nonce}): ${functionName}, to ${to}`);
  const recorded = own.findLast(({ state }) => state === "open" || !again);
  if (recorded === undefined) return undefined;
  const { rawTransaction, transactionHash = "transaction hash not recorded" } = lastAttempt(recorded);
  const signer = rawTransaction === undefined ? "the ledger says that a node or wallet" : "an earlier run";
  output.line(`  recorded         ${signer} signed this same deployment, nonce ${recorded.nonce}, ${transactionHash}`);
  output.line(
    recorded.state === "open"
      ? "                   this run completes it first, and deploys no other app"
      : "                   its receipt must show which app it deployed; --again deploys another app",
  );
  return recorded;
}

/** Lints the values and the owner; the app itself does not exist yet. @throws LintRefusedError */
function lint(
  output: Output,
  { kms, composeHash, deviceId, ...flags }: AppPlan,
  ownerFacts: ReadOwnerReturnType,
  accepted: ReadonlySet<string>,
): readonly LintFinding[] {
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
      ...(flags.allowAnyDevice ? [{ functionName: "setAllowAnyDevice", args: [true] }] : []),
      ...(flags.disableUpgrades ? [{ functionName: "disableUpgrades", args: [] }] : []),
    ],
  };
  return lintAndShow(output, subject, accepted);
}

interface Signing {
  readonly chain: ConnectedChain;
  readonly signer: Address;
  readonly ownerFacts: ReadOwnerReturnType;
}

function showPlan(output: Output, plan: AppPlan, { chain, signer, ownerFacts }: Signing): void {
  output.title(`New app of the KMS ${plan.kms} on ${chain.network}, chain ${chain.chainId}`);
  const other = isAddressEqual(plan.owner, signer) ? "" : "; not the signer";
  output.line(`  owner            ${checksumAddress(plan.owner)}  ${describeOwner(ownerFacts)}${other}`);
  output.line(`  signed by        ${signer}`);
  output.line(`  compose hash     ${plan.composeHash ?? "none"}`);
  output.line(`  device           ${plan.allowAnyDevice ? "any" : (plan.deviceId ?? "none")}`);
  output.line(`  TCB              ${plan.requireTcbUpToDate ? "must be up to date" : "any status may boot"}`);
  output.line(`  upgrades         ${plan.disableUpgrades ? "disabled permanently" : "possible"}`);
}

function describe(plan: AppPlan, chainId: number, { receipt, ...deployed }: DeployOnceReturnType) {
  return {
    ...deployed,
    chainId,
    ...plan,
    blockNumber: receipt.blockNumber,
    gasUsed: receipt.gasUsed,
    costWei: costOf(receipt),
  };
}

function show(output: Output, { appId, transactionHash, receipt, isFromRecord }: DeployOnceReturnType): void {
  if (isFromRecord) output.line("  An earlier run signed this same deployment; --again deploys another app.");
  const { blockNumber, gasUsed } = receipt;
  output.step("deployed", `${transactionHash}, block ${blockNumber}`);
  output.line(`    ${formatGas(gasUsed)}, ${formatFee(costOf(receipt))}`);
  output.line(`\n${isFromRecord ? "An earlier run deployed" : "Deployed"} app ${appId}.`);
}
