import type { Ledger } from "../chain/transactions/ledger.ts";
import type { PriceEstimate } from "../core/price.ts";
import type { Output } from "../output/output.ts";
import { showPrice } from "../output/price.ts";
import { createUpdateOutput } from "../output/update.ts";
import { planUpdate, type UpdatePlan } from "../update/plan-update.ts";
import type { UpdateResult } from "../update/run.ts";
import { updateCvm } from "../update/update-cvm.ts";
import { showDryRun } from "./batch-plan.ts";
import { connectUpdate, findGivenApp, throughOwners } from "./connect-update.ts";
import { describeUpdated } from "./describe-updated.ts";
import { reportGenerations } from "./generations.ts";
import type { Command, CommandHost } from "./host.ts";
import { findNamedCvms } from "./prepare-updates.ts";
import { runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { createSending, parseSending } from "./sending.ts";
import { openTaskLedger } from "./signing.ts";
import { chooseMode, parseUpdateArguments, type UpdateArguments } from "./update-arguments.ts";

export const updateCommand: Command<UpdateArguments> = (args, host) => runTask(args, (io) => update(io, args, host));

async function update(io: TaskIo, args: UpdateArguments, host: CommandHost): Promise<TaskOutcome> {
  const mode = chooseMode(args);
  if (mode.kind === "commit") return (await import("./update-commit.ts")).commitPlanned(io, args, host, mode.plan);
  if (mode.kind === "prepare") return (await import("./update-prepare.ts")).prepareForOwners(io, args, host, mode.plan);
  return updateNow(io, args, host);
}

async function updateNow(io: TaskIo, args: UpdateArguments, host: CommandHost): Promise<TaskOutcome> {
  const choices = parseSending(args, host.settings);
  const { maxFeePerGas, maxPriorityFeePerGas } = choices;
  const namedFees = { maxFeePerGas, maxPriorityFeePerGas };
  const told = new Set<string>();
  const app = await findGivenApp(args, host);
  const cvms = await findNamedCvms(args, host, app);
  const asked = await parseUpdateArguments({ ...args, cvm: cvms?.[0] });
  if (app !== undefined && cvms !== undefined && cvms.length > 1) {
    const { updateReplicas } = await import("./update-replicas.ts");
    return updateReplicas(io, args, host, { app, cvms, request: asked });
  }
  const {
    contracts,
    request,
    rollback,
    app: ofCvm,
    ...connected
  } = await connectUpdate(io, host, { args, app, request: asked });
  if (args.dryRun) {
    const plan = await planUpdate({
      ...request,
      ...connected,
      ...namedFees,
      signal: io.signal,
      onStep: createUpdateOutput(io.output, told),
    }).catch(async (error: unknown) => {
      throw await throughOwners(error, ofCvm, { isKept: false });
    });
    return {
      result: { ...plan, ...reportGenerations(contracts), rollback },
      show: (output) => showPlan(output, plan, { named: request.cvm, told }),
    };
  }
  using ledger = await openTaskLedger(args, host);
  showRecorded(io.output, ledger);
  const print = createUpdateOutput(io.output, told);
  let price: PriceEstimate | null = null;
  let isKept = false;
  const result = await updateCvm({
    ...request,
    ...connected,
    ledger,
    waitForRollover: args.wait === true,
    ...createSending(io, { client: connected.chain }, { choices, ledger, account: connected.account }),
    onStep: (event) => {
      if (event.kind === "finished" && event.step === "readChain") price = event.result.price ?? null;
      if (event.kind === "finished" && event.step === "patch") isKept = true;
      print(event);
    },
  }).catch(async (error: unknown) => {
    throw await throughOwners(error, ofCvm, { isKept });
  });
  return {
    result: { ...result, price, ...reportGenerations(contracts), rollback },
    show: (output) => show(output, result, { named: request.cvm, told }),
  };
}

interface ShowParameters {
  /** The CVM, as the user named it. */
  readonly named: string;
  /** What the steps have printed already. */
  readonly told: ReadonlySet<string>;
}

function show(output: Output, result: UpdateResult, { named, told }: ShowParameters): void {
  output.line(`\n${describe(result, named)}`);
  const { allowedDevice, registration, warnings } = result;
  if (registration === "already-registered")
    output.line("The app allowed the compose hash before, so no transaction was needed for it.");
  if (allowedDevice !== undefined) output.line(`Allowed device ${allowedDevice.deviceId}, named by the cloud.`);
  for (const warning of warnings) if (!told.has(warning)) output.line(`Warning: ${warning}`);
}

function showPlan(output: Output, plan: UpdatePlan, { named, told }: ShowParameters): void {
  const { planned, price, warnings } = plan;
  output.line(`\n${describe(plan, named)}`);
  output.line(`To send: ${planned.join(", ") || "nothing, unless the cloud asks for it"}.`);
  if (price !== null) {
    output.line("If the cloud names a device that the app does not allow, addDevice is sent as well.");
    showPrice(output, price);
  }
  for (const warning of warnings) if (!told.has(warning)) output.line(`Warning: ${warning}`);
  showDryRun({ output });
}

/** Transactions that earlier updates signed and did not see mined. This run completes those it needs. */
function showRecorded(output: Output, ledger: Ledger): void {
  const open = ledger.transactions({ states: ["open"] }).filter(({ purpose }) => purpose.kind === "update");
  for (const { calls, chainId, nonce } of open)
    for (const { description, to } of calls)
      output.line(
        `Signed by an earlier run, result not known: ${description}, on ${to}, chain ${chainId}, nonce ${nonce}.`,
      );
}

/** The result in a sentence, with the name that the user gave and the id that the cloud gave. */
function describe(result: UpdateResult | UpdatePlan, named: string): string {
  return describeUpdated(result, named === result.cvm ? named : `${named} (${result.cvm})`);
}
