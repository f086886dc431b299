import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { type Address, checksumAddress, isAddressEqual } from "viem";
import { parseAddress } from "../../../chain/client.ts";
import { encodeDeployApp } from "../../../chain/encode-deploy-app.ts";
import { type ReadOwnerReturnType, readOwner } from "../../../chain/read-owner.ts";
import { type DeploymentRecord, openDeploymentJournal } from "../../../chain/transactions/deployment-journal.ts";
import { caveatOf, type JudgedContract, requireNoKeyEpochs } from "../../../core/generation.ts";
import { type ComposeHash, type DeviceId, parseComposeHash } from "../../../core/ids.ts";
import { lintApp, parseAccepted, requireClean } from "../../../core/lint/lint.ts";
import { gasCeilingOf } from "../../../core/order-calls.ts";
import { describeOwner, formatFee, formatGas } from "../../../report/format.ts";
import type { Paper } from "../../../report/output.ts";
import { type ConnectedChain, connectChain } from "../../connect/connect-chain.ts";
import { connectCloud } from "../../connect/connect-cloud.ts";
import { showCaveat } from "../../connect/generations.ts";
import { readSigner } from "../../connect/read-signer.ts";
import { requireDstackKms } from "../../connect/require-dstack-kms.ts";
import { type KmsArguments, readConfiguredKms, requireKms, resolveKms } from "../../connect/resolve-kms.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../../connect/run-task.ts";
import { type DeployOnceReturnType, deployOnce } from "../../deploy/deploy-once.ts";
import { parseDevices, showNamedDevices } from "../../device/parse-devices.ts";
import { prepareJournalPath } from "../../journal-path.ts";
import { showFindings } from "../../lint/show-findings.ts";
import { formatBounds } from "../../write/tell-batch.ts";

export interface AppDeployArguments extends KmsArguments, OutputArguments {
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

const action: NewTaskActionFunction<AppDeployArguments> = (args, hre) => runTask(args, (io) => deploy(io, args, hre));
export default action;

/** What the app will be. */
interface Plan {
  readonly kms: Address;
  readonly owner: Address;
  readonly composeHash: ComposeHash | undefined;
  readonly deviceId: DeviceId | undefined;
  readonly allowAnyDevice: boolean;
  readonly requireTcbUpToDate: boolean;
  readonly disableUpgrades: boolean;
}

async function deploy(io: TaskIo, args: AppDeployArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const composeHash = args.hash === undefined ? undefined : parseComposeHash(args.hash);
  const kms = requireKms(resolveKms(args, { configuredKms: await readConfiguredKms(hre.config) }));
  const wanted = args.owner === undefined ? undefined : parseAddress("The owner's address", args.owner);
  const devices = args.device === undefined ? [] : await parseDevices([args.device], await connectCloud(hre));
  const chain = await connectChain(hre);
  const generation = await requireDstackKms(chain.client, kms);
  const contracts: readonly JudgedContract[] = [{ role: "KMS", address: kms, generation }];
  requireNoKeyEpochs(contracts, parseAccepted(args.accept).has("key-epochs"));
  showCaveat(io.paper, contracts);
  const account = await readSigner(hre, { chain, wanted, purpose: "deployAndRegisterApp" });
  const { allowAnyDevice = false, requireTcbUpToDate = false, disableUpgrades = false } = args;
  const owner = wanted ?? parseAddress("The signer's address", account.address);
  const flags = { allowAnyDevice, requireTcbUpToDate, disableUpgrades };
  const plan: Plan = { kms, owner, composeHash, deviceId: devices[0]?.deviceId, ...flags };
  const ownerFacts = await readOwner(chain.client, { address: owner });
  lint(io.paper, plan, ownerFacts, args.accept);
  showPlan(io.paper, plan, { chain, signer: account.address, ownerFacts });
  const namedDevices = showNamedDevices(io.paper, devices);

  const journal = await openDeploymentJournal(
    await prepareJournalPath(hre.config.paths.root, args.journal, "deployments.jsonl"),
  );
  try {
    const { chainId } = chain;
    const recorded = args.again
      ? undefined
      : journal.find({ chainId, from: account.address, ...encodeDeployApp(plan) });
    if (recorded !== undefined) showRecorded(io.paper, recorded);
    await io.confirm("Deploy this app?");
    const deployed = await deployOnce(chain.client, { ...plan, account, chainId, journal, again: args.again === true });
    const result = { ...describe(plan, chainId, deployed), namedDevices, generation, caveat: caveatOf(contracts) };
    return { result, show: (paper) => show(paper, deployed) };
  } finally {
    await journal.close();
  }
}

/** What a person must know before they agree: no second app is made. */
function showRecorded(paper: Paper, { transaction: { nonce, transactionHash }, appId }: DeploymentRecord): void {
  const known = transactionHash ?? "its hash is not on record";
  paper.line(`  on record        an earlier run signed this very deployment, nonce ${nonce}, ${known}`);
  paper.line(
    appId === undefined
      ? "                   it is sent again first; --again makes one more app"
      : `                   it is said to have made ${appId}, which its receipt must show; --again makes one more app`,
  );
}

/** The app does not exist yet, so only the values and the owner can be judged. @throws LintRefusedError */
function lint(
  paper: Paper,
  { kms, composeHash, deviceId, ...flags }: Plan,
  ownerFacts: ReadOwnerReturnType,
  accept: string | undefined,
): void {
  const accepted = parseAccepted(accept);
  const findings = lintApp({
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
  });
  requireClean(findings, accepted);
  const shown = findings.filter(({ severity }) => severity !== "note");
  if (shown.length > 0) showFindings(paper, shown, accepted);
}

interface Signing {
  readonly chain: ConnectedChain;
  readonly signer: Address;
  readonly ownerFacts: ReadOwnerReturnType;
}

function showPlan(paper: Paper, plan: Plan, { chain, signer, ownerFacts }: Signing): void {
  paper.title(`A new app of the KMS ${plan.kms}, on ${chain.network}, chain ${chain.chainId}`);
  const other = isAddressEqual(plan.owner, signer) ? "" : "; not the signer";
  paper.line(`  owner            ${checksumAddress(plan.owner)}  ${describeOwner(ownerFacts)}${other}`);
  paper.line(`  signed by        ${signer}`);
  paper.line(`  compose hash     ${plan.composeHash ?? "none"}`);
  paper.line(`  device           ${plan.allowAnyDevice ? "any" : (plan.deviceId ?? "none")}`);
  paper.line(`  TCB              ${plan.requireTcbUpToDate ? "must be up to date" : "is not looked at"}`);
  paper.line(`  upgrades         ${plan.disableUpgrades ? "disabled, for good" : "possible"}`);
  paper.line(`  cost             ${formatBounds(gasCeilingOf("deployAndRegisterApp"))}`);
}

function describe(plan: Plan, chainId: number, { receipt, ...deployed }: DeployOnceReturnType) {
  return {
    ...deployed,
    chainId,
    ...plan,
    blockNumber: receipt?.blockNumber,
    gasUsed: receipt?.gasUsed,
    costWei: receipt && receipt.gasUsed * receipt.effectiveGasPrice,
  };
}

function show(paper: Paper, { appId, transactionHash, receipt, isFromRecord }: DeployOnceReturnType): void {
  if (isFromRecord) paper.line("  An earlier run signed this very deployment; --again makes one more app.");
  if (receipt !== undefined) {
    const { blockNumber, gasUsed, effectiveGasPrice } = receipt;
    paper.step("deployed", `${transactionHash}, block ${blockNumber}`);
    paper.line(`    ${formatGas(gasUsed)}, ${formatFee(gasUsed * effectiveGasPrice)}`);
  }
  paper.line(`\nThe app's id is ${appId}.`);
}
