import { type ComposeHash, parseComposeHash } from "../../core/ids.ts";
import { parseAge } from "../../core/prune/parse-age.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { type UnknownKind, unknownKinds } from "../../prune/facts.ts";
import type { AppArguments } from "../connect/resolve-app.ts";
import type { OutputArguments } from "../connect/run-task.ts";
import type { HistoryArguments } from "../history/read-app-history.ts";
import { type BatchArgument, parseBatch } from "../write/batch-argument.ts";
import type { PruneJournalArguments } from "./open-prune-journal.ts";

export interface PruneArguments extends AppArguments, OutputArguments, HistoryArguments, PruneJournalArguments {
  readonly keep?: string | undefined;
  readonly olderThan?: string | undefined;
  readonly pin?: string | undefined;
  readonly queued?: string | undefined;
  readonly waive?: string | undefined;
  readonly allowEmpty?: boolean | undefined;
  readonly plan?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly batch?: string | undefined;
  readonly accept?: string | undefined;
  readonly prove?: boolean | undefined;
}

export interface PruneSettings {
  /** Undefined where it was not said, as with a plan that says it. */
  readonly keep: number | undefined;
  readonly olderThanSeconds: number | undefined;
  readonly pins: readonly ComposeHash[];
  /** Files and hex values, as they were typed. */
  readonly queued: readonly string[];
  readonly waived: readonly UnknownKind[];
  readonly mayEmptyList: boolean;
  readonly planFile: string | undefined;
  readonly isDryRun: boolean;
  readonly batch: BatchArgument;
  readonly accept: string | undefined;
  readonly isProofWanted: boolean;
  readonly history: HistoryArguments;
  readonly journal: string | undefined;
}

/** @throws InvalidArgumentError, InvalidHexError */
export function parsePruneArguments(args: PruneArguments): PruneSettings {
  const { keep, olderThan, plan, dryRun = false, batch, accept, prove = false, allowEmpty = false } = args;
  return {
    keep: keep === undefined ? undefined : parseCount(keep),
    olderThanSeconds: olderThan === undefined ? undefined : parseAge(olderThan),
    pins: listOf(args.pin).map(parseComposeHash),
    queued: listOf(args.queued),
    waived: listOf(args.waive).map((name) => oneOf("--waive", unknownKinds, name)),
    mayEmptyList: allowEmpty,
    planFile: plan,
    isDryRun: dryRun,
    batch: parseBatch(batch),
    accept,
    isProofWanted: prove,
    history: { store: args.store, fromBlock: args.fromBlock },
    journal: args.journal,
  };
}

/**
 * A plan that is carried out has its own policy: what would loosen or change it belongs into a new plan. Pins and
 * queued calls only keep more, and stay welcome.
 *
 * @throws InvalidArgumentError
 */
export function requireNoOtherPolicy(settings: PruneSettings, path: string): void {
  const given = [
    settings.keep !== undefined && "--keep",
    settings.olderThanSeconds !== undefined && "--older-than",
    settings.waived.length > 0 && "--waive",
    settings.mayEmptyList && "--allow-empty",
  ].filter((name) => name !== false);
  if (given.length === 0) return;
  throw new InvalidArgumentError(`${path} is a plan with a policy of its own; ${given.join(", ")} would change it.`, {
    nextStep: "Leave them out, or write a new plan: --dry-run --plan FILE.",
  });
}

function parseCount(raw: string): number {
  if (/^\d{1,6}$/.test(raw.trim())) return Number(raw);
  throw new InvalidArgumentError(`--keep must be a whole number, got "${raw.slice(0, 20)}".`, {
    nextStep: "Give how many of the newest hashes stay, as in --keep 3.",
  });
}

function listOf(raw: string | undefined): readonly string[] {
  return (raw ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function oneOf<const Name extends string>(option: string, names: readonly Name[], raw: string): Name {
  const found = names.find((name) => name === raw);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`${option} does not know "${raw.slice(0, 30)}".`, {
    nextStep: `Give one of: ${names.join(", ")}.`,
  });
}
