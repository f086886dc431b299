import { isAddressEqual } from "viem";
import { type ReadAppStatusReturnType, readAppStatus } from "../chain/read-app.ts";
import { requireNoKeyEpochs } from "../core/generation.ts";
import { type ComposeHash, parseComposeHash } from "../core/ids.ts";
import { type OwnerCall, removeComposeHashCall } from "../core/owner-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import { InvalidArgumentError, PruneBlockedError, PruneOvertakenError } from "../errors/index.ts";
import { proveAllowlist } from "../history/prove-allowlist.ts";
import { createProgress } from "../output/output.ts";
import { showPrunePlan, showPruneResult } from "../output/prune.ts";
import { type ChangePlan, prunePlanOf } from "../plans/change-plan.ts";
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
import { readPruneQueue } from "./under-way.ts";
import { chooseSendMode, confirmUnsigned, createBatchOutput, planRequestOf, showRecorded } from "./write.ts";

export const pruneCommand: Command<PruneArguments> = (args, host) => runTask(args, (io) => prune(args, host, io));

/** @throws as the library functions that it calls */
export async function prune(args: PruneArguments, host: CommandHost, io: TaskIo): Promise<TaskOutcome> {
  const settings = parsePruneArguments(args);
  const app = await connectApp(args, host);
  const { client, appId } = app;
  const { accepted } = settings;
  const request = planRequestOf(args, { appId, accepted, reasonOf: () => ({ rule: "unneeded" }) });
  const status = await readAppStatus(client, { appId });
  const contracts = await readJudgedContracts(app, requireApp(status, appId).generation);
  const acceptKeyEpochs = settings.accepted.has("key-epochs");
  requireNoKeyEpochs(contracts, acceptKeyEpochs);
  showCaveat(io.output, contracts);

  const source = pruneSourceOf(io, host, { app, settings, acceptKeyEpochs });
  const documents = await Promise.all(settings.queued.map(readQueued));
  const use = await readAllowlistUseFrom(source, namedIn(settings, app, documents));
  const plan = planPrune(use, buildKeepRules({ settings, documents, use, pins: app.pins, planned: undefined }));
  showPrunePlan(io.output, plan);
  const open = plan.unknowns.filter(({ isAccepted }) => !isAccepted).map(({ kind }) => kind);
  if (open.length > 0) io.output.line(`If you know the answer yourself: --accept ${[...new Set(open)].join(",")}`);
  const described = { ...plan, ...reportGenerations(contracts), removals: removalsOf(plan) };
  const unknowns = openUnknowns(plan, plan.unknowns);
  const exitCode = unknowns.length === 0 ? 0 : negativeAnswer;
  if (request !== undefined) {
    if (unknowns.length > 0) throw new PruneBlockedError(unknowns);
    const { writePlan } = await import("./write-plan.ts");
    const calls = removalsOf(plan).map((composeHash) => removeComposeHashCall({ appId, composeHash }));
    if (calls.length === 0)
      return {
        result: { ...described, outcome: "nothing", planFile: null },
        show: (output) => output.line("There is nothing to change, so no plan was written."),
      };
    const signer = requireApp(status, appId).owner;
    const { pinned } = plan;
    const changes = { pinned, prune: plan, calls, signer, dryRun: settings.isDryRun };
    return {
      result: { ...described, ...(await writePlan(io, app, { ...request, ...changes })) },
    };
  }
  if (settings.isDryRun) {
    const price = await pricePlan(io, { app, status, plan, settings });
    return { result: { ...described, outcome: "planned", price }, exitCode };
  }
  const { result, show } = await executePrune(io, { app, status, plan, use, source, settings });
  return { result: { ...described, ...result }, show };
}

export interface StoredPruneParameters {
  readonly args: Pick<PruneArguments, "pin" | "queued" | "store" | "fromBlock" | "index" | "batch" | "dryRun">;
  readonly app: ConnectedApp;
  readonly plan: ChangePlan;
}

/** Where the facts of a stored prune are read again, and what the command line adds to its rules: it can only keep more. */
export async function connectStoredPrune(
  io: Pick<TaskIo, "stderr" | "signal">,
  host: CommandHost,
  { args, app, plan }: StoredPruneParameters,
) {
  const { pin, queued, store, fromBlock, index, batch, dryRun } = args;
  // A proof that was requested for the plan and failed is requested again for its execution.
  const prove = plan.prune?.unknowns.some(({ kind }) => kind === "proof") === true;
  const settings = parsePruneArguments({ pin, queued, store, fromBlock, index, batch, dryRun, prove });
  const documents = await Promise.all(settings.queued.map(readQueued));
  const acceptKeyEpochs = plan.accepted.includes("key-epochs");
  return {
    settings: { ...settings, accepted: new Set(plan.accepted) },
    prune: pruneSourceOf(io, host, { app, settings, acceptKeyEpochs, planned: callsOf(plan) }),
    named: namedIn(settings, app, documents),
    keep: (use: AllowlistUse, planned: KeepRules) =>
      buildKeepRules({ settings, documents, use, pins: app.pins, planned }),
  };
}

/**
 * Executes the prune of a plan file that was checked: reads all facts again, then goes on as a prune without a file.
 *
 * @throws what executePrune throws
 */
export async function executeStoredPrune(
  io: TaskIo,
  host: CommandHost,
  parameters: StoredPruneParameters,
): Promise<TaskOutcome> {
  const { app, plan: file } = parameters;
  const planned = prunePlanOf(file);
  if (planned === undefined) throw new TypeError("The plan is not the plan of a prune.");
  const { settings, prune: source, named, keep } = await connectStoredPrune(io, host, parameters);
  const status = await readAppStatus(app.client, { appId: app.appId });
  const use = await readAllowlistUseFrom(source, [...named, ...namedBy(planned)]);
  const plan = { ...planned, policy: keep(use, planned.policy) };
  if (settings.isDryRun)
    return { result: { outcome: "planned", price: await pricePlan(io, { app, status, plan, settings }) } };
  return executePrune(io, { app, status, plan, use, source, settings });
}

function callsOf({ changes }: ChangePlan): readonly OwnerCall[] {
  return changes.map(({ call }) => call);
}

function namedIn(
  { pins }: Pick<PruneSettings, "pins">,
  app: ConnectedApp,
  documents: readonly QueuedDocument[],
): readonly ComposeHash[] {
  return [...pins, ...app.pins, ...documents.flatMap(({ text }) => (isOneWord(text) ? parseComposeHash(text) : []))];
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
  readonly isDryRun: boolean;
  readonly batch: BatchArgument;
  /** All names given to `--accept`. */
  readonly accepted: ReadonlySet<string>;
  readonly isProofWanted: boolean;
  readonly history: HistoryArguments;
}

/** @throws InvalidArgumentError, InvalidHexError */
export function parsePruneArguments(args: PruneArguments): PruneSettings {
  const { keep, olderThan, dryRun = false, batch, prove = false, allowEmpty = false } = args;
  const accepted = parseAccept("prune", args.accept);
  return {
    keep: keep === undefined ? undefined : parseCount(keep),
    olderThanSeconds: olderThan === undefined ? undefined : parseAge(olderThan),
    pins: listOf(args.pin).map(parseComposeHash),
    queued: listOf(args.queued),
    acceptedUnknowns: unknownKinds.filter((kind) => accepted.has(kind)),
    mayEmptyList: allowEmpty,
    isDryRun: dryRun,
    batch: parseBatch(batch),
    accepted,
    isProofWanted: prove,
    history: { store: args.store, fromBlock: args.fromBlock, index: args.index },
  };
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
  "Write the plan to a file (--plan FILE) and check it again directly before the owners sign:",
  "dstack plan check FILE says if a hash of the plan is needed again.",
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
    planned = [],
  }: {
    readonly app: ConnectedApp;
    readonly settings: Pick<PruneSettings, "isProofWanted" | "history">;
    readonly acceptKeyEpochs: boolean;
    /** The calls of the plan that is checked: what waits with exactly these is the plan itself. */
    readonly planned?: readonly OwnerCall[];
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
    readQueue: () => readPruneQueue(io, host, { app, history: settings.history, planned }),
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
