import { type Account, type Address, encodeFunctionData, type Hex, pad, zeroHash } from "viem";
import { getBlockNumber } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { readIsRegistered } from "../chain/read-kms.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { readAnswers, simulateUpgrade } from "../chain/simulate-upgrade.ts";
import { costOf } from "../chain/transactions/price.ts";
import { readRecorded } from "../chain/transactions/recorded.ts";
import { type AppAnswer, type AppQuestion, appQuestions, changedAnswers } from "../core/app-questions.ts";
import { type DeterministicContract, implementationOf, proxyOf, registrationOf } from "../core/contract-deployment.ts";
import type { Generation } from "../core/generation.ts";
import { type AppId, type ComposeHash, type DeviceId, parseAppId } from "../core/ids.ts";
import { objectToImplementation, objectToSimulation, type UpgradeObjection } from "../core/upgrade-rules.ts";
import { InvalidArgumentError, UpgradeMismatchError } from "../errors/index.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import { type DryRunArguments, showDryRun } from "./batch-plan.ts";
import {
  type DeploymentStep,
  deployContracts,
  deploymentPurpose,
  deploymentStep,
  findMissing,
  requireDeployers,
  showDeploymentPrice,
} from "./deploy-contracts.ts";
import type { CommandHost, ConnectedChain, ProjectContract } from "./host.ts";
import { describeInitializer, type Initializer, parseInitializer } from "./initializer.ts";
import type { TaskIo, TaskOutcome } from "./run.ts";
import { createSending, type SendingArguments, type SendingChoices, showEvents } from "./sending.ts";
import { openTaskLedger } from "./signing.ts";
import { bootOf, initializersIn, requireAccepted, unknownValue, unsimulated } from "./upgrade-checks.ts";
import { validateContract } from "./validate-contract.ts";
import { confirmUnsigned, showRecorded } from "./write.ts";

/** The parameters of the new app. */
export interface AppPlan {
  readonly kms: Address;
  readonly owner: Address;
  readonly composeHash: ComposeHash | undefined;
  readonly deviceId: DeviceId | undefined;
  readonly allowAnyDevice: boolean;
  readonly requireTcbUpToDate: boolean;
  readonly disableUpgrades: boolean;
}

export interface DeployOwnAppArguments extends DryRunArguments, Pick<SendingArguments, "ledger"> {
  readonly initialize?: string | undefined;
  readonly again?: boolean | undefined;
}

export interface DeployOwnAppParameters {
  readonly host: CommandHost;
  readonly chain: ConnectedChain;
  readonly choices: SendingChoices;
  readonly plan: AppPlan;
  readonly account: Account;
  readonly contract: ProjectContract;
  readonly accepted: ReadonlySet<string>;
  /** What the task already knows about the KMS, for the result. */
  readonly described: { readonly generation: Generation };
}

/**
 * Deploys a contract of the project behind OpenZeppelin's ERC-1967 proxy, initialises it and registers it at the KMS, in
 * one transaction. All addresses follow from the code and the values, so the same command finds what it has deployed.
 *
 * @throws InvalidArgumentError, UpgradeRefusedError, UpgradeMismatchError, and what deployContracts throws
 */
export async function deployOwnApp(
  io: TaskIo,
  args: DeployOwnAppArguments,
  { host, chain, choices, plan, account, contract, accepted, described }: DeployOwnAppParameters,
): Promise<TaskOutcome> {
  const { client, chainId } = chain;
  const { output } = io;
  const initializer = initializerOf(contract, plan, args.initialize);
  const implementation = implementationOf(contract.bytecode);
  await requireDeployers(client);
  using ledger = await openTaskLedger(args, host, { isKept: args.dryRun !== true });
  const { appId, steps } = await chooseSalt(
    client,
    { plan, implementation, data: initializer.data },
    async (candidate) => {
      const command = { account, ledger, chainId, purpose: deploymentPurpose(candidate), calls: [] };
      const { own } = await readRecorded(client, command);
      return own.some(({ state }) => state === "open") ? "unfinished" : args.again === true ? "another" : "same";
    },
  );
  const missing = await findMissing(client, steps);
  output.line(`  contract         ${contract.name}`);
  output.line(`  initialised by   ${initializer.title}`);
  output.line(`  app              ${appId}${missing.length === 0 ? ", deployed already" : ""}`);
  const { questions, expected } = questionsOf(appId, plan);
  if (missing.length > 0)
    requireAccepted(
      output,
      await findObjections(client, { contract, implementation, steps: missing, plan, appId, ...described }),
      accepted,
    );
  const facts = { contract: contract.name, implementation: implementation.address, initializer, chainId, ...plan };
  const pricing = { calls: missing, from: account.address, choices };
  const price = missing.length === 0 ? null : await showDeploymentPrice(io, client, pricing);
  if (args.dryRun) {
    showDryRun(io);
    return { result: { outcome: "planned", appId, ...facts, price, ...described } };
  }
  await showRecorded(io, client, { account, ledger, chainId, purpose: deploymentPurpose(steps), calls: [] });
  await io.confirm("Deploy this app?");
  const receipt = await deployContracts(client, {
    ...{ steps, account, chainId, ledger },
    ...createSending(io, chain, { choices, ledger, account }),
    confirmUnsigned: confirmUnsigned(io),
    onEvent: showEvents(io),
  });
  if (missing.length > 0) {
    const blockNumber = await readBlockNumber(client);
    const after = await readAnswers(client, { questions, owner: plan.owner, blockNumber });
    requireExpected(appId, changedAnswers(questions, expected, after));
  }
  const isFromRecord = missing.length === 0;
  const sent = receipt && { transactionHash: receipt.transactionHash, blockNumber: receipt.blockNumber };
  return {
    result: {
      appId,
      isFromRecord,
      ...sent,
      gasUsed: receipt?.gasUsed,
      costWei: receipt && costOf(receipt),
      ...facts,
      price,
      ...described,
    },
    show: (to) => to.line(`\n${isFromRecord ? "An earlier run deployed" : "Deployed and registered"} app ${appId}.`),
  };
}

function readBlockNumber(client: ChainClient): Promise<bigint> {
  return withRpcErrors(client, "reading the block", () => getBlockNumber(client, { cacheTime: 0 }));
}

/** @throws InvalidArgumentError */
function initializerOf({ abi, name }: ProjectContract, plan: AppPlan, text: string | undefined): Initializer {
  if (text !== undefined) return parseInitializer(text, abi);
  const {
    owner,
    disableUpgrades,
    requireTcbUpToDate,
    allowAnyDevice,
    deviceId = zeroHash,
    composeHash = zeroHash,
  } = plan;
  const values = [allowAnyDevice, deviceId, composeHash] as const;
  const six = encodeFunctionData({
    abi: dstackAppAbi,
    functionName: "initialize",
    args: [owner, disableUpgrades, requireTcbUpToDate, ...values],
  });
  const five = encodeFunctionData({
    abi: dstackAppAbi,
    functionName: "initialize",
    args: [owner, disableUpgrades, ...values],
  });
  const data = [six, ...(requireTcbUpToDate ? [] : [five])].find(
    (data) => describeInitializer(data, abi).title !== data,
  );
  if (data !== undefined) return describeInitializer(data, abi);
  throw new InvalidArgumentError(`${name} has no initialize function with the values of a DstackApp.`, {
    nextStep: "Name its initialiser: --initialize 'FUNCTION(value, …)'.",
    context: { name },
  });
}

interface ChooseSaltParameters {
  readonly plan: AppPlan;
  readonly implementation: DeterministicContract;
  readonly data: Hex;
}

interface Candidate {
  readonly appId: AppId;
  readonly steps: readonly DeploymentStep[];
}

/** Deployments of the same app that are looked for. */
const mostCopies = 1000n;

/**
 * The app that this command is about: the last one that equal commands deployed, or the first that does not exist yet.
 * With `--again` it is a new one, unless an earlier run has not finished.
 */
async function chooseSalt(
  client: ChainClient,
  { plan: { kms }, implementation, data }: ChooseSaltParameters,
  judge: (steps: readonly DeploymentStep[]) => Promise<"unfinished" | "another" | "same">,
): Promise<Candidate> {
  let last: Candidate | undefined;
  for (let salt = 0n; salt < mostCopies; salt++) {
    const proxy = proxyOf(implementation.address, data, salt);
    const appId = parseAppId(proxy.address);
    const register = {
      ...registrationOf(appId, kms),
      isDone: (of: ChainClient) => readIsRegistered(of, { kms, appId }),
    };
    const proxyStep = deploymentStep(proxy);
    const candidate = { appId, steps: [deploymentStep(implementation), proxyStep, register] };
    if (!(await proxyStep.isDone(client))) return last ?? candidate;
    const verdict = await judge(candidate.steps);
    if (verdict === "unfinished") return candidate;
    last = verdict === "same" ? candidate : undefined;
  }
  throw new InvalidArgumentError(`This app was deployed ${mostCopies} times already.`, {
    nextStep: "Change a value of the new app, such as its first compose hash.",
  });
}

interface FindObjectionsParameters {
  readonly contract: ProjectContract;
  readonly implementation: DeterministicContract;
  readonly steps: readonly DeploymentStep[];
  readonly plan: AppPlan;
  readonly appId: AppId;
  readonly generation: Generation;
}

/** Validates the code, and lets the node deploy the app without sending it. */
async function findObjections(
  client: ChainClient,
  { contract, implementation: { address }, steps, plan, appId, generation }: FindObjectionsParameters,
): Promise<readonly UpgradeObjection[]> {
  const unsafe = await validateContract(contract, undefined);
  const { questions, expected } = questionsOf(appId, plan);
  const register = registrationOf(appId, plan.kms);
  const { implementation, outcome, problem } = await simulateUpgrade(client, {
    ...{ appId, owner: plan.owner, implementation: address, questions },
    opening: steps.filter(({ data }) => data !== register.data),
    change: register,
    initializers: initializersIn(contract),
    blockNumber: await readBlockNumber(client),
  });
  if (outcome === undefined) return [...unsafe, unsimulated(problem)];
  const contracts = { app: { address: appId, generation }, kms: { address: plan.kms, generation } };
  const objections = [...unsafe, ...objectToImplementation(implementation, contracts)];
  if (outcome.after[0] === undefined || outcome.after[0] === "0x")
    return [
      ...objections,
      {
        rule: "upgrade-reverts",
        problem: "The node cannot create the proxy: the initialiser reverts with these values.",
      },
    ];
  const changed = changedAnswers(questions, expected, outcome.after);
  const canUpgradeAgain = outcome.canUpgradeAgain || plan.disableUpgrades;
  objections.push(...objectToSimulation({ ...outcome, canUpgradeAgain, changed }, { isNew: true }));
  if (plan.disableUpgrades && outcome.canUpgradeAgain)
    objections.push({
      rule: "answers-change",
      problem: "The initialiser does not disable upgrades, as --disable-upgrades demands.",
    });
  return objections;
}

/** What the new app must answer. */
function questionsOf(
  appId: AppId,
  { owner, composeHash, deviceId, allowAnyDevice, requireTcbUpToDate }: AppPlan,
): { readonly questions: readonly AppQuestion[]; readonly expected: readonly AppAnswer[] } {
  const hashes: readonly Hex[] = composeHash === undefined ? [unknownValue] : [composeHash, unknownValue];
  const devices: readonly Hex[] = deviceId === undefined ? [unknownValue] : [deviceId, unknownValue];
  const boots = hashes.flatMap((hash) =>
    devices.map((device) => bootOf({ appId, composeHash: hash, deviceId: device })),
  );
  const word = (value: boolean): Hex => pad(value ? "0x01" : "0x00");
  const isDevice = (device: Hex) => device === deviceId;
  return {
    questions: appQuestions({ appId, composeHashes: hashes, devices, boots }),
    expected: [
      pad(owner.toLowerCase() as Hex),
      word(false),
      word(allowAnyDevice),
      word(requireTcbUpToDate),
      ...hashes.map((hash) => word(hash === composeHash)),
      ...devices.map((device) => word(isDevice(device))),
      ...hashes.flatMap((hash) =>
        devices.map((device) => word(hash === composeHash && (allowAnyDevice || isDevice(device)))),
      ),
    ],
  };
}

/** @throws UpgradeMismatchError */
function requireExpected(appId: AppId, changed: ReturnType<typeof changedAnswers>): void {
  const [first] = changed;
  if (first === undefined) return;
  const problem = `it answers ${first.title} with ${first.after ?? "no value"}, and ${first.before ?? "no value"} was wanted.`;
  throw new UpgradeMismatchError(problem, { appId, previous: undefined });
}
