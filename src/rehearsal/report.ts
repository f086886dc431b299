import { type Address, formatEther, isAddressEqual } from "viem";
import type { ReadOwnerReturnType } from "../chain/read-owner.ts";
import { type AppId, type ComposeHash, type Hex, nameOfCvm } from "../core/ids.ts";
import type { Price } from "../core/price.ts";
import type { ChangeReason, PlannedOwner } from "../plans/change-plan.ts";
import { type BootRow, isAllowed } from "./boot-verdicts.ts";
import type { RehearsedExecution } from "./execute-as-owner.ts";
import type { Reboot } from "./reboot.ts";
import { sumPrices } from "./step.ts";

/** The live chain, as it was forked. */
export interface ForkedChain {
  readonly chainId: number;
  /** As `--network` names it. */
  readonly network: string;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  /** Seconds since 1970. */
  readonly blockTime: bigint;
  /** Between the block and the start of the rehearsal. */
  readonly ageSeconds: bigint;
}

/** A plan that was executed, as one part of a rehearsal. */
export interface RehearsedPhase {
  /** "the plan", "the new owner accepts". */
  readonly title: string;
  readonly owner: PlannedOwner;
  readonly changes: readonly { readonly description: string; readonly to: Address; readonly reason: ChangeReason }[];
  readonly execution: RehearsedExecution;
  /** False for what a live change does not include, such as the trial of a new owner. */
  readonly isLive: boolean;
}

/** The compose hash that a CVM was to run after an update, and the one that it runs. */
export interface RehearsedUpdate {
  readonly id: string;
  readonly name: string;
  readonly wanted: ComposeHash;
  readonly runs: ComposeHash | undefined;
}

/** What a rehearsal found out. Plain data. */
export interface RehearsalFacts {
  /** The task that was rehearsed, such as `prune`. */
  readonly subject: string;
  readonly chain: ForkedChain;
  readonly appId: AppId | undefined;
  readonly kms: Address | undefined;
  /** The owner before the change. */
  readonly owner: ReadOwnerReturnType;
  /** The owner after it. Undefined if nothing was executed. */
  readonly ownerAfter: ReadOwnerReturnType | undefined;
  /** The change as the task itself planned it. */
  readonly plan: { readonly digest: Hex; readonly task: string } | undefined;
  /** Why the task made no plan, or why the plan must not be executed. */
  readonly refusals: readonly Refusal[];
  readonly phases: readonly RehearsedPhase[];
  readonly boots: readonly BootRow[];
  readonly reboots: readonly Reboot[];
  readonly updates: readonly RehearsedUpdate[];
  /** Sentences: what is not as it should be, and stops nothing. */
  readonly warnings: readonly string[];
  /** Sentences: what the rehearsal does not show. */
  readonly limits: readonly string[];
}

export type ReasonKind =
  /** The task itself refused the change. */
  | "refused"
  | "nothing-to-do"
  /** A step reverted, or could not be taken. */
  | "failed"
  /** The transactions did not make exactly the planned changes. */
  | "not-as-planned"
  /** A machine in use could boot before, and cannot any more. */
  | "boot-lost"
  /** A CVM did not come back after a restart. */
  | "reboot-failed"
  | "update-failed"
  /** No account could change the app any more. */
  | "owner-lost";

export interface Refusal {
  /** Sentences for people, with the values. */
  readonly message: string;
  /** Code of the error behind it, as `DSTK-2007`. */
  readonly code?: string | undefined;
  readonly nextStep?: string | undefined;
}

export interface NoGoReason extends Refusal {
  readonly kind: ReasonKind;
}

export interface RehearsalReport extends RehearsalFacts {
  readonly verdict: "go" | "no-go";
  /** Why not. Empty for `go`. */
  readonly reasons: readonly NoGoReason[];
  /** Of the live transactions, at the fees of the forked block. Undefined if there were none. */
  readonly price: Price | undefined;
}

/** Judges the facts of a rehearsal. */
export function judgeRehearsal(facts: RehearsalFacts): RehearsalReport {
  const reasons = rules.flatMap((rule) => rule(facts));
  const price = sumPrices(facts.phases.flatMap(({ execution, isLive }) => (isLive ? execution.steps : [])));
  const warnings = [...facts.warnings, ...facts.phases.flatMap(describeMissingFunds)];
  return { ...facts, warnings, verdict: reasons.length === 0 ? "go" : "no-go", reasons, price };
}

/** Any account can pay for what a Safe or a timelock does. A key pays itself. */
function describeMissingFunds({ owner, execution: { funded, steps }, isLive }: RehearsedPhase): readonly string[] {
  const needed = isLive && owner.kind === "key" ? sumPrices(steps)?.total : undefined;
  return funded.flatMap(({ address, balance }) =>
    needed === undefined || balance >= needed || !isAddressEqual(address, owner.address)
      ? []
      : `${address} has ${formatEther(balance)} ETH on the live chain, and the change costs about ${formatEther(needed)} ETH. Give it more before the live change.`,
  );
}

/** Each rule returns why it forbids the change, or nothing. In the order in which they happen. */
const rules: readonly ((facts: RehearsalFacts) => readonly NoGoReason[])[] = [
  ({ refusals }) => refusals.map(({ message, code, nextStep }) => ({ kind: "refused", message, code, nextStep })),
  ({ refusals, phases, plan, updates }) => {
    const isEmpty = phases.every(({ changes }) => changes.length === 0) && updates.length === 0;
    if (!isEmpty || refusals.length > 0) return [];
    const message = plan === undefined ? "There is nothing to change." : "The plan changes nothing.";
    return [{ kind: "nothing-to-do", message }];
  },
  ({ phases }) =>
    phases.flatMap(({ title, execution: { failure } }) =>
      failure === undefined
        ? []
        : { kind: "failed", message: `${title}: ${failure.message}`, code: failure.code, nextStep: failure.nextStep },
    ),
  ({ phases }) =>
    phases.flatMap(({ title, execution: { proofs } }) =>
      proofs.flatMap((proof) =>
        proof.kind === "applied" ? [] : { kind: "not-as-planned", message: `${title}: ${proof.message}` },
      ),
    ),
  ({ updates }) =>
    updates.flatMap(({ name, wanted, runs }) =>
      wanted === runs
        ? []
        : {
            kind: "update-failed",
            message: `${name} runs ${runs ?? "no known hash"} after the update, not ${wanted}.`,
          },
    ),
  ({ boots }) =>
    boots.flatMap(({ runsAfter, before, after, composeHash }) => {
      // A CVM that the change moves to another hash does not need its former one.
      if (runsAfter.length === 0 || isAllowed(after) || !isAllowed(before)) return [];
      const { reason } = after.kms ?? after.app;
      const message = `${runsAfter.join(", ")} could boot before the change, and cannot after it: ${reason}. It runs ${composeHash}.`;
      return [{ kind: "boot-lost", message }];
    }),
  ({ boots, reboots }) =>
    reboots.flatMap(({ id, name, isRunning, status, bootError }) => {
      const cvm = nameOfCvm({ id, name });
      if (isRunning || !couldBoot(boots, cvm)) return [];
      const why = bootError === undefined ? "" : `: ${bootError.replace(/\.$/, "")}`;
      return [{ kind: "reboot-failed", message: `${cvm} did not come back after a restart, and is ${status}${why}.` }];
    }),
  ({ ownerAfter, owner }) =>
    ownerAfter?.kind === "renounced" && owner.kind !== "renounced"
      ? [{ kind: "owner-lost", message: "The app would have no owner any more, so no account could change it again." }]
      : [],
];

/** A CVM that could not boot before says nothing against the change. */
function couldBoot(boots: readonly BootRow[], cvm: string): boolean {
  const own = boots.filter(({ runsBefore }) => runsBefore.includes(cvm));
  return own.length === 0 || own.some(({ before }) => isAllowed(before));
}
