import { DstackError, type DstackErrorOptions } from "./base.ts";

abstract class PruneError extends DstackError {
  readonly family = "prune";
}

export class PruneBlockedError extends PruneError {
  override readonly name = "PruneBlockedError";
  constructor(unknowns: readonly { readonly kind: string; readonly problem: string }[]) {
    const [first] = unknowns;
    const kinds = [...new Set(unknowns.map(({ kind }) => kind))].join(",");
    const more = unknowns.length > 1 ? ` (and ${unknowns.length - 1} more unknown facts)` : "";
    super(`Nothing may be removed while this is not known: ${first?.problem}${more}`, {
      nextStep: `Nothing was sent. Find out, or answer for it yourself with --accept ${kinds}.`,
      context: { unknowns },
    });
  }
}

/** A reason not to remove a hash. Without `composeHash` it applies to every removal. */
export interface Objection {
  readonly composeHash?: string | undefined;
  /** The end of a sentence that begins with the hash, or a whole sentence without one. */
  readonly problem: string;
}

export class PruneOvertakenError extends PruneError {
  override readonly name = "PruneOvertakenError";
  constructor(objections: readonly Objection[]) {
    super(`The plan is overtaken: ${describe(objections)}.`, {
      nextStep: "Nothing more was sent. Plan again and look at the new plan.",
      context: { objections },
    });
  }
}

export class HistoryContradictedError extends PruneError {
  override readonly name = "HistoryContradictedError";
  constructor(objections: readonly Objection[]) {
    super(`The stored history is not the chain's: ${describe(objections)}.`, {
      nextStep:
        "Nothing was sent. Delete the history store, or give --store :memory:, and plan again. If it stays so, use an RPC endpoint that keeps all logs.",
      context: { objections },
    });
  }
}

export class InvalidPlanFileError extends PruneError {
  override readonly name = "InvalidPlanFileError";
  constructor(path: string, problem: string, options: Pick<DstackErrorOptions, "cause"> = {}) {
    super(`${path} cannot be carried out: ${problem}.`, {
      ...options,
      nextStep: "Nothing was sent. Write a new plan with --dry-run --plan FILE.",
      context: { path, problem },
    });
  }
}

export class PrunedHashInUseError extends PruneError {
  override readonly name = "PrunedHashInUseError";
  constructor(appId: string, objections: readonly Objection[]) {
    const hashes = objections.flatMap(({ composeHash }) => composeHash ?? []);
    super(`Removed, but in use since the last look: ${describe(objections)}. Its next boot gets no keys.`, {
      nextStep: `Allow it again at once: hardhat dstack hash add --app ${appId} ${hashes[0] ?? ""}`.trimEnd(),
      context: { appId, objections },
    });
  }
}

function describe(objections: readonly Objection[]): string {
  const [first] = objections;
  const what = [first?.composeHash, first?.problem].filter((part) => part !== undefined).join(" ");
  return objections.length > 1 ? `${what} (and ${objections.length - 1} more)` : what;
}
