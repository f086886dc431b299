import type { Address } from "viem";
import type { LintFinding } from "../core/lint/lint.ts";
import type { SafePowers, TimelockPowers } from "./read-powers.ts";

/** Whether an account can make a call. `unknown`: what was read does not decide it. */
export type Ability = "able" | "unable" | "unknown";

/** What a contract is that is neither a Safe nor a timelock. */
export type OwnerContractRole =
  /** The contract whose ownership is to be transferred. */
  | "target"
  | "kms"
  | "app"
  /** The code behind the target's proxy, or the code that the KMS gives new apps. */
  | "implementation"
  /** Makes the calls of every account, such as Multicall3. */
  | "open"
  /** Published once for all users, such as the code of Safes. No owner controls it. */
  | "shared"
  /** Its code has no instruction that calls another contract. */
  | "cannotCall"
  | "unknown";

/** An account that owns a contract, or that acts for the owner. */
export type ExaminedAccount = {
  readonly address: Address;
  readonly ability: Ability;
} & (
  | { readonly kind: "renounced" }
  | {
      readonly kind: "eoa";
      readonly nonce: number;
      readonly balanceWei: bigint;
      /** The contract it delegates to (EIP-7702). */
      readonly delegatedTo: Address | undefined;
    }
  | ({ readonly kind: "safe" } & ExaminedSafe)
  | ({ readonly kind: "timelock" } & ExaminedTimelock)
  | { readonly kind: "contract"; readonly role: OwnerContractRole }
  /** `circular`: it acts for itself through others. `limit`: the accounts behind it are too many or too deep. */
  | { readonly kind: "unread"; readonly why: "circular" | "limit" }
);

interface ExaminedSafe extends SafePowers {
  readonly version: string;
  readonly threshold: bigint;
  readonly nonce: bigint;
  readonly owners: readonly ExaminedAccount[];
}

interface ExaminedTimelock extends Omit<TimelockPowers, "proposers" | "executors"> {
  readonly minDelaySeconds: bigint;
  /** Undefined if the endpoint does not serve the timelock's logs. */
  readonly proposers: readonly ExaminedAccount[] | undefined;
  readonly executors: readonly ExaminedAccount[] | undefined;
}

export interface OwnerExamination {
  readonly contract: Address;
  readonly blockNumber: bigint;
  /** The owner now. */
  readonly owner: Address;
  /** Whether the new owner must accept. Otherwise the transfer takes effect at once. */
  readonly isTwoStep: boolean;
  readonly newOwner: ExaminedAccount;
  /** Errors first. `ownerRules` lists their rules. */
  readonly findings: readonly LintFinding[];
}

/** Whether it makes the calls of every account. */
export function isOpen(account: ExaminedAccount): boolean {
  return account.kind === "contract" && account.role === "open";
}

/** Whether enough owners can sign. */
export function abilityOfSafe({ owners, threshold, nonce }: ExaminedSafe): Ability {
  const count = (wanted: readonly Ability[]) => owners.filter(({ ability }) => wanted.includes(ability)).length;
  if (count(["able", "unknown"]) < threshold) return "unable";
  // Owners of a Safe sign without a transaction of their own. Its nonce shows that enough of them have signed.
  return count(["able"]) >= threshold || nonce > 0n ? "able" : "unknown";
}

/** Whether an account that can act may propose, and one may execute. */
export function abilityOfTimelock({ proposers, executors, isProposerOpen, isExecutorOpen }: ExaminedTimelock): Ability {
  const anyOf = (accounts: readonly ExaminedAccount[] | undefined, isEveryAccount: boolean): Ability => {
    if (isEveryAccount || accounts?.some(({ ability }) => ability === "able")) return "able";
    return accounts === undefined || accounts.some(({ ability }) => ability === "unknown") ? "unknown" : "unable";
  };
  const both = [anyOf(proposers, isProposerOpen), anyOf(executors, isExecutorOpen)];
  if (both.includes("unable")) return "unable";
  return both.includes("unknown") ? "unknown" : "able";
}
