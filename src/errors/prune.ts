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
    super(`No hash may be removed, because a fact is not known. ${first?.problem}${more}`, {
      nextStep: `Nothing was sent. Make the fact known. Or, if you know the answer yourself, pass \`acceptedUnknowns: ${kinds}\`.`,
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
    super(`The facts changed after the plan was made: ${describe(objections)}.`, {
      nextStep: "Nothing more was sent. Make a new plan and look at it.",
      context: { objections },
    });
  }
}

export class PlanOvertakenError extends PruneError {
  override readonly name = "PlanOvertakenError";
  constructor(objections: readonly { readonly kind: string; readonly problem: string }[]) {
    const more = objections.length > 1 ? ` (and ${objections.length - 1} more objections)` : "";
    super(`The plan must not be executed. ${objections[0]?.problem ?? ""}${more}`, {
      nextStep: "Nothing was sent. Make a new plan and look at it.",
      context: { objections: objections.map(({ kind, problem }) => ({ kind, problem })) },
    });
  }
}

export class HistoryContradictedError extends PruneError {
  override readonly name = "HistoryContradictedError";
  constructor(objections: readonly Objection[]) {
    super(`The history store contradicts the chain: ${describe(objections)}.`, {
      nextStep:
        "Nothing was sent. Delete the history store, or use another one with `store`, then make a new plan. If the error remains, use an RPC endpoint that keeps all logs.",
      context: { objections },
    });
  }
}

export class InvalidPlanFileError extends PruneError {
  override readonly name = "InvalidPlanFileError";
  constructor(path: string, problem: string, options: Pick<DstackErrorOptions, "cause"> = {}) {
    super(`The plan file ${path} is not usable: ${problem}.`, {
      ...options,
      nextStep: "Nothing was sent. Write a new plan with `savePlan`.",
      context: { path, problem },
    });
  }
}

export class PrunedHashInUseError extends PruneError {
  override readonly name = "PrunedHashInUseError";
  constructor(appId: string, objections: readonly Objection[]) {
    const hashes = objections.flatMap(({ composeHash }) => composeHash ?? []);
    super(
      `A hash came into use while it was being removed: ${describe(objections)}. The next boot with it gets no keys.`,
      {
        nextStep: `Allow it again at once: \`addComposeHash: ${hashes.join(" ")} on ${appId}\``,
        context: { appId, objections },
      },
    );
  }
}

function describe(objections: readonly Objection[]): string {
  const [first] = objections;
  const what = [first?.composeHash, first?.problem].filter((part) => part !== undefined).join(" ");
  return objections.length > 1 ? `${what} (and ${objections.length - 1} more)` : what;
}
