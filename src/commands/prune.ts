import { isAddressEqual } from "viem";
import { type ReadAppStatusReturnType, readAppStatus } from "../chain/read-app.ts";
import { requireNoKeyEpochs } from "../core/generation.ts";
import { type ComposeHash, parseComposeHash } from "../core/ids.ts";
import { removeComposeHashCall } from "../core/owner-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import { InvalidArgumentError, PruneBlockedError, PruneOvertakenError } from "../errors/index.ts";
import { proveAllowlist } from "../history/prove-allowlist.ts";
import { createProgress } from "../output/output.ts";
import { showPrunePlan, showPruneResult } from "../output/prune.ts";
import {
  type AllowlistUse,
  defaultKeep,
  findMentions,
  type KeepRules,
  type Pin,
  type QueuedDocument,
  readQueued,
  type UnknownKind,
  unknownKinds,
} from "../prune/allowlist-use.ts";
import {
  type ApplyPrunePlanParameters,
  applyPrunePlan,
  namedBy,
  readRecordedRemovals,
} from "../prune/apply-prune-plan.ts";
import { loadPlan, requirePlanFor, savePlan } from "../prune/plan-file.ts";
import { datedBy, findObjections, openUnknowns, type PrunePlan, planPrune, removalsOf } from "../prune/plan-prune.ts";
import { type PruneSource, readAllowlistUseFrom, requireDates } from "../prune/read-allowlist-use.ts";
import { type HistoryArguments, readAppLists } from "./app-history.ts";
import { type BatchArgument, parseAccept, parseAge, parseBatch } from "./arguments.ts";
import { planCalls, readPayer, showBatchPlan } from "./batch-plan.ts";
import { type AppArguments, type ConnectedApp, connectApp, requireApp } from "./connect-app.ts";
import { resolveKms } from "./connect-kms.ts";
import { readJudgedContracts, reportGenerations, showCaveat } from "./generations.ts";
import type { Command, CommandHost } from "./host.ts";
import { lintBeforeWrite } from "./lint.ts";
import { planWithUser } from "./plan-with-user.ts";
import { type PrepareForSafeParameters, prepareForSafe } from "./prepare-for-safe.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { createSending } from "./sending.ts";
import { chooseSendMode, confirmUnsigned, createBatchOutput, showRecorded } from "./write.ts";

export const pruneCommand: Command<PruneArguments> = (args, host) => runTask(args, (io) => prune(args, host, io));

async function prune(args: PruneArguments, host: CommandHost, io: TaskIo): Promise<TaskOutcome> {
  const settings = parsePruneArguments(args);
  const { planFile, isDryRun } = settings;
  const app = await connectApp(args, host);
  const { client, appId, chainId } = app;
  const status = await readAppStatus(client, { appId });
  const contracts = await readJudgedContracts(app, requireApp(status, appId).generation);
  const acceptKeyEpochs = settings.accepted.has("key-epochs");
  requireNoKeyEpochs(contracts, acceptKeyEpochs);
  showCaveat(io.output, contracts);

  const stored = planFile === undefined || isDryRun ? undefined : await loadPlan(planFile);
  const isToBeWritten = planFile !== undefined && stored === undefined;
  if (isToBeWritten && !isDryRun && args.yes === true) throw noSuchPlan(planFile);
  if (planFile !== undefined && stored !== undefined) {
    requirePlanFor(planFile, stored, { appId, chainId });
    requireNoOtherRules(settings, planFile);
  }

  // A proof that was requested for the plan and failed is requested again for its execution.
  const isProofWanted = settings.isProofWanted || stored?.unknowns.some(({ kind }) => kind === "proof") === true;
  const source = pruneSourceOf(io, host, { app, settings: { ...settings, isProofWanted }, acceptKeyEpochs });
  const documents = await Promise.all(settings.queued.map(readQueued));
  const queuedHashes = documents.flatMap(({ text }) => (isOneWord(text) ? parseComposeHash(text) : []));
  const named = [...settings.pins, ...app.pins, ...queuedHashes, ...(stored ? namedBy(stored) : [])];
  const use = await readAllowlistUseFrom(source, named);
  const policy = buildKeepRules({ settings, documents, use, pins: app.pins, planned: stored?.policy });
  const plan = stored === undefined ? planPrune(use, policy) : { ...stored, policy };
  showPrunePlan(io.output, plan);
  const open = plan.unknowns.filter(({ isAccepted }) => !isAccepted).map(({ kind }) => kind);
  if (open.length > 0) io.output.line(`If you know the answer yourself: --accept ${[...new Set(open)].join(",")}`);
  const described = { ...plan, ...reportGenerations(contracts), removals: removalsOf(plan) };
  if (isToBeWritten) {
    await savePlan(planFile, plan);
    io.output.line(`Wrote the plan to ${planFile}. To execute it, use --plan ${planFile} without --dry-run.`);
  }
  if (isToBeWritten || isDryRun) {
    return {
      result: { ...described, outcome: "planned", price: await pricePlan(io, { app, status, plan, settings }) },
      exitCode: openUnknowns(plan, plan.unknowns).length === 0 ? 0 : negativeAnswer,
    };
  }
  const { result, show } = await executePrune(io, { app, status, plan, use, source, settings });
  return { result: { ...described, ...result }, show };
}

function noSuchPlan(path: string): InvalidArgumentError {
  return new InvalidArgumentError(`There is no plan in ${path} to execute.`, {
    nextStep: `Write it first and check it: --dry-run --plan ${path}.`,
  });
}

export interface PruneArguments extends AppArguments, OutputArguments, HistoryArguments {
  readonly keep?: string | undefined;
  readonly olderThan?: string | undefined;
  readonly pin?: string | undefined;
  readonly queued?: string | undefined;
  readonly allowEmpty?: boolean | undefined;
  readonly plan?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly batch?: string | undefined;
  readonly accept?: string | undefined;
  readonly prove?: boolean | undefined;
}

export interface PruneSettings {
  /** Undefined if not given, for example because a plan contains it. */
  readonly keep: number | undefined;
  readonly olderThanSeconds: number | undefined;
  readonly pins: readonly ComposeHash[];
  /** Files and hex values, as the user typed them. */
  readonly queued: readonly string[];
  readonly acceptedUnknowns: readonly UnknownKind[];
  readonly mayEmptyList: boolean;
  readonly planFile: string | undefined;
  readonly isDryRun: boolean;
  readonly batch: BatchArgument;
  /** All names given to `--accept`. */
  readonly accepted: ReadonlySet<string>;
  readonly isProofWanted: boolean;
  readonly history: HistoryArguments;
}

/** @throws InvalidArgumentError, InvalidHexError */
export function parsePruneArguments(args: PruneArguments): PruneSettings {
  const { keep, olderThan, plan, dryRun = false, batch, prove = false, allowEmpty = false } = args;
  const accepted = parseAccept("prune", args.accept);
  return {
    keep: keep === undefined ? undefined : parseCount(keep),
    olderThanSeconds: olderThan === undefined ? undefined : parseAge(olderThan),
    pins: listOf(args.pin).map(parseComposeHash),
    queued: listOf(args.queued),
    acceptedUnknowns: unknownKinds.filter((kind) => accepted.has(kind)),
    mayEmptyList: allowEmpty,
    planFile: plan,
    isDryRun: dryRun,
    batch: parseBatch(batch),
    accepted,
    isProofWanted: prove,
    history: { store: args.store, fromBlock: args.fromBlock, index: args.index },
  };
}

/**
 * A stored plan has its own policy. Options that would loosen or change it need a new plan. Pins and queued calls only
 * keep more hashes, so they are still accepted.
 *
 * @throws InvalidArgumentError
 */
export function requireNoOtherRules(settings: PruneSettings, path: string): void {
  const given = [
    settings.keep !== undefined && "--keep",
    settings.olderThanSeconds !== undefined && "--older-than",
    settings.acceptedUnknowns.length > 0 && `--accept ${settings.acceptedUnknowns.join(",")}`,
    settings.mayEmptyList && "--allow-empty",
  ].filter((name) => name !== false);
  if (given.length === 0) return;
  throw new InvalidArgumentError(`The plan in ${path} has its own rules, and ${given.join(", ")} would change them.`, {
    nextStep: "Omit them, or write a new plan: --dry-run --plan FILE.",
  });
}

function parseCount(raw: string): number {
  if (/^\d{1,6}$/.test(raw.trim())) return Number(raw);
  throw new InvalidArgumentError(`--keep must be a whole number, got "${raw.slice(0, 20)}".`, {
    nextStep: "Give the number of newest hashes to keep, for example --keep 3.",
  });
}

function listOf(raw: string | undefined): readonly string[] {
  return (raw ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

export interface ExecutePruneParameters {
  readonly app: ConnectedApp;
  readonly status: ReadAppStatusReturnType;
  readonly plan: PrunePlan;
  /** Facts that were just read. A stored plan is compared with them before the user is asked. */
  readonly use: AllowlistUse;
  readonly source: PruneSource;
  readonly settings: PruneSettings;
}

/**
 * Asks, then sends a plan's removals, or prepares them for the Safe that owns the app.
 *
 * @throws PruneBlockedError, PruneOvertakenError, LintRefusedError, InvalidArgumentError if the user cannot be asked,
 * and what applyPrunePlan and prepareForSafe throw
 */
export async function executePrune(io: TaskIo, parameters: ExecutePruneParameters): Promise<TaskOutcome> {
  const { app, status, settings } = parameters;
  const delivery = chooseSendMode(settings.batch, requireApp(status, app.appId).owner);
  if (delivery.kind === "prepare") return forSafe(io, parameters, delivery);
  using ledger = await app.openLedger();
  return await send(io, parameters, { ...delivery, ledger });
}

/** What a plan would cost, shown with how it would be sent; null if it removes nothing or is blocked. */
async function pricePlan(
  io: TaskIo,
  { app, status, plan, settings }: Pick<ExecutePruneParameters, "app" | "status" | "plan" | "settings">,
): Promise<PriceEstimate | null> {
  const { appId } = app;
  const calls = removalsOf(plan).map((composeHash) => removeComposeHashCall({ appId, composeHash }));
  if (calls.length === 0 || !plan.isExecutable) return null;
  const delivery = chooseSendMode(settings.batch, requireApp(status, appId).owner);
  if (delivery.kind === "prepare") {
    return (await prepareForSafe(io, app, { ...delivery, calls, dryRun: true })).price;
  }
  const readSigner = () => app.signer("removeComposeHash", plan.owner);
  const found = await readPayer(io, { readSigner, signer: plan.owner });
  const isOwner = typeof found === "string" || isAddressEqual(found.address, plan.owner);
  return (await planCalls(io, app, { ...delivery, calls, payer: isOwner ? found : plan.owner })).price;
}

async function send(
  io: TaskIo,
  parameters: ExecutePruneParameters,
  { mode, allowDelegation, ledger }: Pick<ApplyPrunePlanParameters, "mode" | "allowDelegation" | "ledger">,
): Promise<TaskOutcome> {
  const { app, plan, source } = parameters;
  const { client, appId, chainId } = app;
  const removals = removalsOf(plan);
  const removalCalls = removals.map((composeHash) => removeComposeHashCall({ appId, composeHash }));
  if (removals.length === 0 && ledger.transactions({ isUnfinished: true }).length === 0) return nothing(parameters);
  const account = await app.signer("removeComposeHash", plan.owner);
  const recorded = await readRecordedRemovals(client, { ledger, plan, account });
  if (removals.length + recorded.length === 0) return nothing(parameters);
  const sending = { account, ledger, chainId, purpose: { kind: "prune" } } as const;
  if (recorded.length > 0) {
    io.output.line(`An earlier run signed the removal of ${recorded.length}. This run first completes it.`);
    const calls = recorded.map((composeHash) => removeComposeHashCall({ appId, composeHash }));
    await showRecorded(io, client, { ...sending, calls });
  }
  await check(
    io,
    parameters,
    removals.filter((hash) => !recorded.includes(hash)),
  );
  // If another transaction replaced a recorded one, this run sends its removals.
  const batchPlan = await planWithUser(io, app, { ...sending, calls: removalCalls, mode, allowDelegation });
  const price = await showBatchPlan(io, app, batchPlan);
  const what = removals.length === 1 ? "this hash" : `these ${removals.length} hashes`;
  await io.confirm(`Remove ${what} as ${account.address}?`);
  const result = await applyPrunePlan({
    ...{ plan, source, account, batchPlan, ledger },
    ...createSending(io, app, { choices: app.choices, ledger, account }),
    confirmUnsigned: confirmUnsigned(io),
    onEvent: createBatchOutput(io, app, batchPlan),
  });
  return { result: { outcome: "removed", ...result, price }, show: (output) => showPruneResult(output, result) };
}

async function forSafe(
  io: TaskIo,
  parameters: ExecutePruneParameters,
  delivery: Omit<PrepareForSafeParameters, "calls">,
): Promise<TaskOutcome> {
  const { app, plan } = parameters;
  const removals = removalsOf(plan);
  if (removals.length === 0) return nothing(parameters);
  const calls = await check(io, parameters, removals);
  const prepared = await prepareForSafe(io, app, { ...delivery, calls });
  for (const line of untilSigned) io.output.line(line);
  return { result: { outcome: "prepared", ...prepared } };
}

/** @throws PruneBlockedError if the list may have further hashes, because they were not judged */
function nothing({ plan, use }: ExecutePruneParameters): TaskOutcome {
  const unknowns = openUnknowns(plan, use.unknowns);
  if (unknowns.length > 0) throw new PruneBlockedError(unknowns);
  return { result: { outcome: "nothing" }, show: (output) => output.line("Nothing to remove.") };
}

/** After the owners have signed, nothing is checked again. */
const untilSigned = [
  "Save the plan to a file (--dry-run --plan FILE) and check it again directly before the owners sign:",
  "--plan FILE --batch safe stops if a hash of the plan is needed again.",
] as const;

async function check(
  io: TaskIo,
  { app, status, plan, use, settings }: ExecutePruneParameters,
  removals: ReturnType<typeof removalsOf>,
) {
  const unknowns = use.unknowns.filter(({ kind }) => !plan.policy.acceptedUnknowns.includes(kind));
  if (unknowns.length > 0) throw new PruneBlockedError(unknowns);
  const objections = findObjections(plan, use, removals);
  if (objections.length > 0) throw new PruneOvertakenError(objections);
  const { appId, client } = app;
  await requireDates(client, { appId, hashes: datedBy(plan, use, removals), signal: io.signal });
  const calls = removals.map((composeHash) => removeComposeHashCall({ appId, composeHash }));
  // The generation was checked before the plan was made. It is checked again with all facts before anything is sent.
  await lintBeforeWrite(io, app, { accepted: settings.accepted, status, calls, ignoresKeyEpochs: true });
  return calls;
}

export interface BuildKeepRulesParameters {
  readonly settings: PruneSettings;
  /** The pins of the configuration. */
  readonly pins: readonly ComposeHash[];
  readonly documents: readonly QueuedDocument[];
  readonly use: Pick<AllowlistUse, "allowed">;

  /** The rules of a stored plan. They replace those of the command line, which may only keep more hashes. */
  readonly planned: KeepRules | undefined;
}

/**
 * Combines what the operator wants to keep, from the command line, the configuration and the plan.
 *
 * @throws InvalidArgumentError for a pin or a bare hash that is not on the list, because the operator believes it is
 * protected
 */
export function buildKeepRules({ settings, documents, use, planned, ...config }: BuildKeepRulesParameters): KeepRules {
  const allowed = use.allowed.map(({ composeHash }) => composeHash);
  const pins: Pin[] = [
    ...(planned?.pins ?? []),
    ...config.pins.map((composeHash) => ({ composeHash, source: "the configuration" })),
    ...settings.pins.map((composeHash) => ({ composeHash, source: "--pin" })),
  ];
  const typo = settings.pins.find((pin) => !allowed.includes(pin));
  if (typo !== undefined) throw notListed("--pin", typo);
  const queued = documents.map(({ source, text }) => ({ source, text, composeHashes: findMentions(text, allowed) }));
  const bare = queued.find(({ text, composeHashes }) => isOneWord(text) && composeHashes.length === 0);
  if (bare !== undefined) throw notListed("--queued", bare.text);
  return {
    keep: planned?.keep ?? settings.keep ?? defaultKeep,
    olderThanSeconds: planned === undefined ? settings.olderThanSeconds : planned.olderThanSeconds,
    pins,
    queued: [...(planned?.queued ?? []), ...queued.map(({ source, composeHashes }) => ({ source, composeHashes }))],
    acceptedUnknowns: planned?.acceptedUnknowns ?? settings.acceptedUnknowns,
    mayEmptyList: planned?.mayEmptyList ?? settings.mayEmptyList,
  };
}

function isOneWord(text: string): boolean {
  return /^0x[0-9a-f]{64}$/i.test(text);
}

function notListed(option: string, hash: string): InvalidArgumentError {
  return new InvalidArgumentError(`${option} names ${hash}, which is not on the app's list.`, {
    nextStep: "Copy the compose hash again. The hash of a transaction or operation says nothing about what it does.",
  });
}

/**
 * Where a prune of this app reads its facts: the chain through the project's history store, and the cloud if there is
 * an API key.
 */
export function pruneSourceOf(
  io: Pick<TaskIo, "stderr" | "signal">,
  host: CommandHost,
  {
    app,
    settings,
    acceptKeyEpochs,
  }: {
    readonly app: ConnectedApp;
    readonly settings: Pick<PruneSettings, "isProofWanted" | "history">;
    readonly acceptKeyEpochs: boolean;
  },
): PruneSource {
  const { client, cloud } = app;
  const { signal, stderr } = io;
  const progress = createProgress("Asking the cloud", stderr);
  return {
    chain: client,
    cloud,
    kms: resolveKms({}, app),
    acceptKeyEpochs,
    signal,
    readHistory: async () => (await readAppLists(io, host, app, settings.history)).history,
    ...(settings.isProofWanted && {
      prove: async (history) => {
        const { claims } = await proveAllowlist(client, { history, signal });
        return Object.values(claims).find((claim) => !claim.isProven)?.message;
      },
    }),
    onProgress: (done, total) => {
      progress.update(done, total);
      if (done === total) progress.stop();
    },
  };
}
