import { type Address, isAddressEqual, keccak256, zeroAddress } from "viem";
import { getBlockNumber } from "viem/actions";
import { parseAddress } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { type AppStatus, readAppStatus } from "../chain/read-app.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { readAnswers, simulateUpgrade } from "../chain/simulate-upgrade.ts";
import { lowerCase } from "../chain/transactions/ledger-records.ts";
import { type AppAnswer, type AppQuestion, changedAnswers } from "../core/app-questions.ts";
import { implementationOf } from "../core/contract-deployment.ts";
import { describeGeneration, type Generation } from "../core/generation.ts";
import type { Hex } from "../core/ids.ts";
import { upgradeCall } from "../core/owner-calls.ts";
import { objectToImplementation, objectToSimulation, type UpgradeObjection } from "../core/upgrade-rules.ts";
import { InvalidArgumentError, UpgradeRefusedError } from "../errors/index.ts";
import { formatCount } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { formatFee, formatGas } from "../output/price.ts";
import { type HistoryArguments, readAppLists } from "./app-history.ts";
import { parseAccept } from "./arguments.ts";
import { showDryRun } from "./batch-plan.ts";
import { type AppArguments, type ConnectedApp, connectApp, requireApp } from "./connect-app.ts";
import { findKms, type KmsArguments } from "./connect-kms.ts";
import { deployImplementation, requireDeployable, requireDeployers } from "./deploy-contracts.ts";
import type { Command, CommandHost, ProjectContract } from "./host.ts";
import { describeInitializer, type Initializer, parseInitializer } from "./initializer.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import {
  checkLayout,
  gatherQuestions,
  initializersIn,
  requireAccepted,
  requireSameAnswers,
  unsimulated,
} from "./upgrade-checks.ts";
import { type ChangeAppArguments, changeApp } from "./write.ts";

export interface AppUpgradeArguments
  extends AppArguments,
    ChangeAppArguments,
    HistoryArguments,
    KmsArguments,
    OutputArguments {
  /** Address of the new implementation. */
  readonly implementation?: string | undefined;
  /** The contract of the project that is the new implementation. */
  readonly contract?: string | undefined;
  /** The contract of the project that the app runs today. */
  readonly from?: string | undefined;
  /** A call of the new code in the same transaction. */
  readonly initialize?: string | undefined;
}

export const appUpgrade: Command<AppUpgradeArguments> = (args, host) => runTask(args, (io) => upgrade(io, args, host));

export async function upgrade(io: TaskIo, args: AppUpgradeArguments, host: CommandHost): Promise<TaskOutcome> {
  const accepted = parseAccept("app upgrade", args.accept);
  const target = await readTarget(args, host);
  const app = await connectApp(args, host);
  const { client, appId } = app;
  const status = requireApp(await readAppStatus(client, { appId }), appId);
  const previous = status.implementation;
  if (previous !== undefined && isAddressEqual(previous, target.implementation)) {
    const result = { appId, chainId: app.chainId, outcome: "unchanged", implementation: target.implementation };
    return { result, show: (output) => output.line(`App ${appId} runs ${target.implementation} already.`) };
  }
  const checked = await check(io, args, { app, status, target, host, accepted });
  const { questions, before, owner, summary, deployment } = checked;
  if (deployment !== undefined && args.dryRun) {
    showDryRun(io);
    return { result: { appId, chainId: app.chainId, outcome: "planned", upgrade: summary } };
  }
  const deployed = deployment === undefined ? undefined : await deployImplementation(io, app, deployment);
  const [codeHash, previousCodeHash] = await Promise.all(
    [target.implementation, previous ?? zeroAddress].map(async (address) =>
      keccak256(await readCode(client, { address })),
    ),
  );
  const call = upgradeCall({ appId, implementation: target.implementation, data: target.initializer.data });
  const outcome = await changeApp(io, args, {
    ...{ app, calls: [call], accepted, hasPaid: deployed !== undefined },
    reasonOf: () => ({ rule: "upgrade" }),
    upgrade: {
      implementation: lowerCase(target.implementation),
      codeHash: codeHash ?? "0x",
      previousImplementation: lowerCase(previous ?? zeroAddress),
      previousCodeHash: previousCodeHash ?? "0x",
      generation: summary.generation.id,
      layout: summary.layout,
      kms: lowerCase(summary.kms),
    },
  });
  const described = { ...summary, codeHash, deployment: deployed ?? null };
  if (!(await isUpgraded(app, target.implementation)))
    return withUpgrade(outcome, described, (output) => {
      if (deployed === undefined) return;
      const { address, transactionHash, gasUsed, costWei } = deployed;
      output.line(`\nThe implementation was deployed and paid: ${address}`);
      output.line(`  transaction  ${transactionHash} (${formatGas(gasUsed)}, ${formatFee(costWei)})`);
      output.line("The app does not use it until the upgrade is executed.");
    });
  const number = await withRpcErrors(client, "reading the block", () => getBlockNumber(client, { cacheTime: 0 }));
  const after = await readAnswers(client, { questions, owner, blockNumber: number });
  requireSameAnswers({ appId, questions, before, after, previous });
  return withUpgrade(outcome, described, (output) =>
    output.line(`\nApp ${appId} runs ${target.implementation}. All ${questions.length} answers are as before.`),
  );
}

function withUpgrade(
  { result, show, ...outcome }: TaskOutcome,
  upgrade: object,
  more?: (output: Output) => void,
): TaskOutcome {
  return {
    ...outcome,
    result: { ...result, upgrade },
    show: (output) => {
      show?.(output);
      more?.(output);
    },
  };
}

/** The new implementation, and what is called in it. */
interface Target {
  readonly implementation: Address;
  readonly contract: ProjectContract | undefined;
  readonly initializer: Initializer;
}

/** @throws InvalidArgumentError, InvalidHexError */
async function readTarget(args: AppUpgradeArguments, host: CommandHost): Promise<Target> {
  const contract = args.contract === undefined ? undefined : requireDeployable(await host.readContract(args.contract));
  const address =
    args.implementation === undefined ? undefined : parseAddress("The implementation", args.implementation);
  if (contract === undefined && address === undefined)
    throw new InvalidArgumentError("No implementation is named.", {
      nextStep: "Give --implementation 0x…, or --contract NAME for a contract of this project, or both.",
    });
  const abi = contract?.abi;
  const initializer =
    args.initialize === undefined ? describeInitializer("0x", abi) : parseInitializer(args.initialize, abi);
  const implementation = address ?? implementationOf(contract?.bytecode ?? "0x").address;
  return { implementation, contract, initializer };
}

interface CheckParameters {
  readonly app: ConnectedApp;
  readonly status: AppStatus;
  readonly target: Target;
  readonly host: CommandHost;
  readonly accepted: ReadonlySet<string>;
}

/**
 * Checks everything that is known before anything is signed, and shows it.
 *
 * @throws UpgradeRefusedError with every objection that was not accepted by name
 */
async function check(
  io: TaskIo,
  args: AppUpgradeArguments,
  { app, status, target, host, accepted }: CheckParameters,
): Promise<{
  readonly questions: readonly AppQuestion[];
  readonly before: readonly AppAnswer[];
  readonly owner: Address;
  /** For the result. */
  readonly summary: { readonly generation: Generation; readonly layout: string; readonly kms: Address };
  /** The contract to deploy first. Undefined if the chain has the implementation. */
  readonly deployment: ProjectContract | undefined;
}> {
  const { client, appId } = app;
  const { implementation, contract, initializer } = target;
  const { blockNumber, owner } = status;
  requireUpgradable(appId, status);
  const from = args.from === undefined ? undefined : await host.readContract(args.from);
  const { kms, generation } = await findKms(args, app, io);
  const isDeployed = (await readCode(client, { address: implementation, blockNumber })) !== "0x";
  const deployment = isDeployed || args.implementation !== undefined ? undefined : contract;
  if (deployment !== undefined) await requireDeployers(client);
  const lists = await readAppLists(io, host, app, args);
  const questions = await gatherQuestions(app, { lists, kms });
  const opening = deployment === undefined ? [] : [implementationOf(deployment.bytecode).deployment];
  const simulated = await simulateUpgrade(client, {
    ...{ appId, owner: owner.address, implementation, questions, blockNumber, opening },
    change: upgradeCall({ appId, implementation, data: initializer.data }),
    initializers: initializersIn(contract),
  });
  const facts = simulated.implementation;
  const objections = [
    ...objectToImplementation(facts, {
      app: { address: appId, generation: status.generation },
      kms: { address: kms, generation },
    }),
  ];
  // Nothing else about such an address says more than this.
  if (objections.some(({ rule }) => noImplementation.has(rule))) throw new UpgradeRefusedError(objections);
  const { outcome } = simulated;
  const changed = outcome === undefined ? [] : changedAnswers(questions, outcome.before, outcome.after);
  if (objections.length === 0)
    objections.push(
      ...(outcome === undefined ? [unsimulated(simulated.problem)] : objectToSimulation({ ...outcome, changed })),
    );
  const layout = facts.hasCode
    ? await checkLayout(app, { status, lists, implementation, contract, from })
    : { objections: [], verdict: "not compared" };
  objections.push(...layout.objections);
  if (!lists.completeness.isComplete)
    objections.push({
      rule: "history",
      problem: `Not every value that the app may allow is known, so not every one is compared: ${lists.completeness.reasons[0]?.message}`,
      acceptAs: "history",
    });
  requireAccepted(io.output, objections, accepted);
  const summary = {
    ...{ implementation, previousImplementation: status.implementation ?? null, contract: contract?.name ?? null },
    ...{ generation: facts.generation, kms, layout: layout.verdict, questions: questions.length },
    initializer: initializer.data === "0x" ? null : initializer,
    isSimulated: outcome !== undefined,
  };
  const { output } = io;
  output.title(`Upgrade of app ${appId} on ${app.network}, chain ${app.chainId}`);
  output.line(`  from             ${status.implementation ?? "unknown"}`);
  output.line(`  to               ${implementation}`);
  if (contract !== undefined)
    output.line(`  contract         ${contract.name}${deployment === undefined ? "" : ", to be deployed first"}`);
  output.line(`  generation       ${describeGeneration(facts.generation)}`);
  output.line(`  storage layout   ${layout.verdict}`);
  if (initializer.data !== "0x") output.line(`  then calls       ${initializer.title}`);
  if (outcome !== undefined) {
    output.line(
      `  simulated        ${formatCount(questions.length, "answer", "answers")} of app and KMS stay the same`,
    );
    output.line("                   only the owner can change the app, and can upgrade it again");
  }
  const before = outcome?.before ?? (await readAnswers(client, { questions, owner: owner.address, blockNumber }));
  return { questions, before, owner: owner.address, summary, deployment };
}

/** What an address is that holds no implementation. */
const noImplementation: ReadonlySet<UpgradeObjection["rule"]> = new Set([
  ...(["same-address", "no-code", "is-kms", "is-proxy"] as const),
]);

/** @throws UpgradeRefusedError */
function requireUpgradable(appId: Hex, { upgradesDisabled, owner, implementation }: AppStatus): void {
  const refuse = (rule: UpgradeObjection["rule"], problem: string) => new UpgradeRefusedError([{ rule, problem }]);
  if (upgradesDisabled)
    throw refuse(
      "upgrades-disabled",
      `Upgrades are permanently disabled on the app ${appId}. No account can change that: only a new app can run other code.`,
    );
  if (owner.kind === "renounced")
    throw refuse("renounced-owner", `The app ${appId} has no owner any more, so no account can upgrade it.`);
  if (implementation === undefined)
    throw refuse("not-uups", `The app ${appId} is no ERC-1967 proxy, so it cannot be upgraded.`);
}

async function isUpgraded({ client, appId }: ConnectedApp, implementation: Address): Promise<boolean> {
  const status = await readAppStatus(client, { appId });
  return (
    status.kind === "app" &&
    status.implementation !== undefined &&
    isAddressEqual(status.implementation, implementation)
  );
}
