import { DstackError, type DstackErrorOptions } from "./base.ts";

abstract class PruneError extends DstackError {
  readonly family = "prune";
}

export class PruneBlockedError extends PruneError {
  override readonly name = "PruneBlockedError";
  constructor(unknowns: readonly { readonly kind: string; readonly problem: string }[]) {
    const kinds = [...new Set(unknowns.map(({ kind }) => kind))].join(",");
    const what = unknowns.length === 1 ? "a fact is" : `${unknowns.length} facts are`;
    super(`No hash may be removed, because ${what} not known:`, {
      items: unknowns.map(({ kind, problem }) => `${problem} (${kind})`),
      nextStep: `Nothing was sent. Make the fact known. Or, if you know the answer yourself, pass \`acceptedUnknowns: ${kinds}\`.`,
      context: { unknowns },
    });
  }
}

/** A reason not to remove a hash. Without `composeHash` it applies to every removal. */
export interface Objection {
  readonly composeHash?: string | undefined;
  /** What follows the hash and a colon, or a sentence of its own, without its full stop. */
  readonly problem: string;
}

export class PruneOvertakenError extends PruneError {
  override readonly name = "PruneOvertakenError";
  constructor(objections: readonly Objection[]) {
    super("The facts changed after the plan was made:", {
      items: sentencesOf(objections),
      nextStep: "Nothing more was sent. Make a new plan and look at it.",
      context: { objections },
    });
  }
}

export interface PlanOvertakenOptions {
  /** @default the plan must not be executed */
  readonly what?: string | undefined;
  /** @default to make a new plan */
  readonly nextStep?: string | undefined;
}

export class PlanOvertakenError extends PruneError {
  override readonly name = "PlanOvertakenError";
  constructor(
    objections: readonly { readonly kind: string; readonly problem: string }[],
    {
      what = "The plan must not be executed",
      nextStep = "Nothing was sent. Make a new plan and look at it.",
    }: PlanOvertakenOptions = {},
  ) {
    super(`${what}:`, {
      items: objections.map(({ problem }) => problem),
      nextStep,
      context: { objections: objections.map(({ kind, problem }) => ({ kind, problem })) },
    });
  }
}

export class HistoryContradictedError extends PruneError {
  override readonly name = "HistoryContradictedError";
  constructor(objections: readonly Objection[]) {
    super("The history store contradicts the chain:", {
      items: sentencesOf(objections),
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
    super("A hash came into use while it was being removed, and the next boot with it gets no keys:", {
      items: sentencesOf(objections),
      nextStep: `Allow it again at once: \`addComposeHash: ${hashes.join(" ")} on ${appId}\``,
      context: { appId, objections },
    });
  }
}

/** "0x…: runs on web (cvm_1)." */
function sentencesOf(objections: readonly Objection[]): readonly string[] {
  return objections.map(({ composeHash, problem }) =>
    composeHash === undefined
      ? `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`
      : `${composeHash}: ${problem}.`,
  );
}
