import { isAddressEqual } from "viem";
import { batchExecutorAddress } from "../core/batch-executor.ts";
import type { LintFinding } from "../core/lint/lint.ts";
import type { LintRule, LintSeverity } from "../core/lint/rule.ts";
import { describeDelay } from "../core/timelock-calls.ts";
import { LintRefusedError } from "../errors/index.ts";
import type { ExaminedAccount, OwnerContractRole, OwnerExamination } from "./examined-owner.ts";

/** What a rule judges: the new owner, or an account that acts for it. */
interface JudgedAccount extends Omit<OwnerExamination, "blockNumber" | "findings"> {
  readonly account: ExaminedAccount;
  /** With the address, at the start of a sentence. */
  readonly name: string;
  readonly isNewOwner: boolean;
}

interface OwnerRule extends Pick<LintRule, "name" | "severity" | "isFinal" | "summary"> {
  /** The advice of every finding, as one sentence. */
  readonly advice: string;
  /** One sentence for each finding, and its severity if it differs from the rule's. */
  readonly check: (
    judged: JudgedAccount,
  ) => string | { readonly message: string; readonly severity: LintSeverity } | undefined;
}

const another = "Give the address of a key, a Safe or a timelock.";

/** A rule that refuses a contract that can never act as an owner. */
function refuseRole(role: OwnerContractRole, rule: { name: string; summary: string; what: string }): OwnerRule {
  return {
    ...{ name: rule.name, summary: rule.summary, severity: "error", isFinal: true, advice: another },
    check: ({ account, name }) =>
      account.kind === "contract" && account.role === role ? `${name} is ${rule.what}.` : undefined,
  };
}

/** An error if the transfer takes effect at once. With two steps, an owner that cannot act cannot accept either. */
const unlessTwoStep = ({ isTwoStep }: JudgedAccount, message: string) =>
  ({ message, severity: isTwoStep ? "warning" : "error" }) as const;

const day = 86_400n;

/** What `dstack owner transfer` refuses or tells of a new owner. docs/operator.md lists the same rows. */
export const ownerRules: readonly OwnerRule[] = [
  {
    name: "zero-owner",
    severity: "error",
    isFinal: true,
    summary: "The new owner, or an account behind it, is the zero address.",
    advice: another,
    check: ({ account, name }) => (account.kind === "renounced" ? `${name} is the zero address.` : undefined),
  },
  refuseRole("target", {
    name: "owner-is-contract",
    summary: "The contract would own itself, or an owner of the Safe is that contract.",
    what: "the contract itself, which never makes an owner's call",
  }),
  refuseRole("kms", {
    name: "owner-is-kms",
    summary: "The new owner, or an account behind it, is a DstackKms.",
    what: "a DstackKms, which never makes an owner's call",
  }),
  refuseRole("app", {
    name: "owner-is-app",
    summary: "The new owner, or an account behind it, is the contract of another app.",
    what: "the contract of another app, which never makes an owner's call",
  }),
  refuseRole("implementation", {
    name: "owner-is-implementation",
    summary: "The new owner, or an account behind it, is the code behind the proxy of an app or a KMS.",
    what: "the code behind a proxy, which never makes an owner's call",
  }),
  refuseRole("open", {
    name: "owner-is-open",
    summary: "The new owner, or an account behind it, makes the calls of every account, such as Multicall3.",
    what: "a contract that makes the calls of every account, so every account would be an owner",
  }),
  refuseRole("shared", {
    name: "owner-is-shared",
    summary: "The new owner, or an account behind it, is a contract for all users, such as the code of Safes.",
    what: "a contract for all users of the chain, which no owner controls",
  }),
  refuseRole("cannotCall", {
    name: "owner-cannot-call",
    summary: "The code of the new owner has no instruction that calls another contract.",
    what: "a contract whose code has no instruction that calls another contract",
  }),
  {
    name: "keyless-owner",
    severity: "error",
    isFinal: true,
    summary: "The new owner, or an account behind it, is a precompile or a burn address.",
    advice: another,
    check: ({ account, name }) =>
      account.kind === "eoa" && account.ability === "unable" ? `${name} is an address without a key.` : undefined,
  },
  {
    name: "circular-owner",
    severity: "error",
    isFinal: true,
    summary: "An account behind the new owner acts only through the new owner.",
    advice: "Remove it from the owners or the roles.",
    check: ({ account, name }) =>
      account.kind === "unread" && account.why === "circular" ? `${name} acts only through itself.` : undefined,
  },
  {
    name: "unused-owner",
    severity: "error",
    summary: "The new owner has no code, no transaction and no balance on this chain.",
    advice:
      "Deploy a Safe or another contract on this chain first. To a key, send a small amount and let its holder send it back.",
    check: ({ account, name, isNewOwner }) =>
      isNewOwner && isUnproven(account) && account.balanceWei === 0n
        ? `${name} has no code, no transaction and no balance on this chain. A Safe that exists on another chain looks the same.`
        : undefined,
  },
  {
    name: "unsigned-owner",
    severity: "warning",
    summary: "The new owner has a balance, but no code and no transaction on this chain.",
    advice: "Let the holder of the key send a transaction on this chain first.",
    check: ({ account, name, isNewOwner }) =>
      isNewOwner && isUnproven(account) && account.balanceWei > 0n
        ? `${name} has a balance, but no code and no transaction on this chain: no key is proven, and a Safe that exists on another chain looks the same.`
        : undefined,
  },
  {
    name: "delegated-owner",
    severity: "warning",
    summary: "The new owner is a key whose account delegates to another contract than the batch executor (EIP-7702).",
    advice: "Examine that contract: its code acts for the account.",
    check: ({ account, name }) =>
      account.kind === "eoa" &&
      account.delegatedTo !== undefined &&
      !isAddressEqual(account.delegatedTo, batchExecutorAddress)
        ? `${name} delegates to ${account.delegatedTo} (EIP-7702).`
        : undefined,
  },
  {
    name: "unknown-contract",
    severity: "warning",
    summary:
      "The new owner is a contract, neither a Safe nor a timelock. An error if the transfer takes effect at once.",
    advice: "Prove with a rehearsal that it can call the contract.",
    check: (judged) => {
      const { account, name } = judged;
      if (account.kind !== "contract" || account.role !== "unknown") return undefined;
      return unlessTwoStep(judged, `${name} is a contract, neither a Safe nor a timelock. It may be unable to act.`);
    },
  },
  {
    name: "unread-owner",
    severity: "warning",
    summary:
      "The accounts behind the new owner are too many or too deep to examine. An error if the transfer takes effect at once.",
    advice: "Examine them one by one.",
    check: (judged) =>
      judged.account.kind === "unread" && judged.account.why === "limit"
        ? `${judged.name} was not examined: there are too many accounts behind the new owner.`
        : undefined,
  },
  {
    name: "safe-cannot-sign",
    severity: "error",
    isFinal: true,
    summary: "Fewer owners of the Safe can sign than its threshold says.",
    advice: "Replace these owners in the Safe first.",
    check: ({ account, name }) =>
      account.kind === "safe" && account.ability === "unable"
        ? `${name} requires ${account.threshold} signatures, but only ${countAble(account.owners)} of its ${account.owners.length} owners can sign.`
        : undefined,
  },
  {
    name: "safe-unproven",
    severity: "warning",
    summary: "The Safe has sent no transaction, and most of its owners have not either.",
    advice: "Let its owners execute a transaction with the Safe first.",
    check: ({ account, name }) =>
      account.kind === "safe" && account.ability === "unknown"
        ? `${name} has executed no transaction yet, and too few of its owners have sent one on this chain to prove that it can.`
        : undefined,
  },
  {
    name: "safe-needs-all-owners",
    severity: "warning",
    summary: "If one owner of the Safe loses the key, the Safe cannot act any more.",
    advice: "Lower the threshold, or add an owner.",
    check: ({ account, name }) => {
      if (account.kind !== "safe" || account.ability === "unable") return undefined;
      const { owners, threshold } = account;
      return BigInt(countAble(owners)) === threshold && owners.length > 1
        ? `${name} needs the signature of every owner that can sign: if one key is lost, the contract is frozen.`
        : undefined;
    },
  },
  {
    name: "safe-one-signature",
    severity: "note",
    summary: "One signature is enough for the Safe.",
    advice: "Raise the threshold.",
    check: ({ account, name }) =>
      account.kind === "safe" && account.threshold === 1n ? `One signature is enough: ${name}.` : undefined,
  },
  {
    name: "safe-modules",
    severity: "warning",
    summary: "Modules can act for the Safe without a signature, or it is not known whether the Safe has modules.",
    advice: "Make sure that you know each module.",
    check: ({ account, name }) => {
      if (account.kind !== "safe") return undefined;
      const { modules } = account;
      if (modules === undefined) return `${name} does not list its modules, which can act without a signature.`;
      return modules.length > 0
        ? `${name} has modules, which act without a signature: ${modules.join(", ")}.`
        : undefined;
    },
  },
  {
    name: "safe-guard",
    severity: "warning",
    summary: "A guard can refuse the transactions of the Safe.",
    advice: "Make sure that you know the guard.",
    check: ({ account, name }) =>
      account.kind === "safe" && account.guard !== undefined
        ? `${name} has the guard ${account.guard}, which can refuse its transactions.`
        : undefined,
  },
  {
    name: "unpublished-safe",
    severity: "warning",
    summary: "A contract answers like a Safe, but names no published contract of Safe as its code.",
    advice: "Check its code before you depend on it.",
    check: ({ account, name }) =>
      account.kind === "safe" && !account.isPublished
        ? `${name} answers like a Safe, but names no contract of Safe 1.3.0 to 1.5.0 as its code.`
        : undefined,
  },
  {
    name: "timelock-cannot-act",
    severity: "error",
    isFinal: true,
    summary: "No account that can act may propose in the timelock, or none may execute.",
    advice: "Give the roles to accounts that can act.",
    check: ({ account, name }) =>
      account.kind === "timelock" && account.ability === "unable"
        ? `${name} is a timelock without a proposer or without an executor that can act.`
        : undefined,
  },
  {
    name: "timelock-unproven",
    severity: "warning",
    summary:
      "It is not known whether an account that can act may propose and execute. An error if the transfer takes effect at once and the roles were not read.",
    advice: "Use an endpoint that serves the timelock's logs, and let a proposer schedule an operation first.",
    check: (judged) => {
      const { account, name } = judged;
      if (account.kind !== "timelock" || account.ability !== "unknown") return undefined;
      return account.proposers === undefined
        ? unlessTwoStep(judged, `The endpoint does not show who may propose: ${name}.`)
        : `${name} is a timelock, and no transaction shows that its proposers and executors can act.`;
    },
  },
  {
    name: "timelock-is-open",
    severity: "error",
    isFinal: true,
    summary: "Every account can propose in the timelock, so every account could take over the contract.",
    advice: "Take the proposer role from the zero address.",
    check: ({ account, name }) =>
      account.kind === "timelock" && account.isProposerOpen
        ? `${name} is a timelock in which an account without a role can propose.`
        : undefined,
  },
  {
    name: "timelock-delay",
    severity: "warning",
    summary: "The timelock has no delay, or a delay of more than 30 days. An error if the delay is more than a year.",
    advice: "A change of the delay takes effect after the present delay.",
    check: ({ account, name }) => {
      if (account.kind !== "timelock") return undefined;
      const { minDelaySeconds } = account;
      if (minDelaySeconds === 0n) return `${name} is a timelock without a delay.`;
      if (minDelaySeconds <= 30n * day) return undefined;
      const message = `Each change would take ${describeDelay(minDelaySeconds)}, also the removal of a vulnerable hash: ${name}.`;
      return { message, severity: minDelaySeconds > 365n * day ? "error" : "warning" };
    },
  },
  {
    name: "timelock-admin",
    severity: "warning",
    summary: "An account can give the roles of the timelock without its delay.",
    advice: "Let the admin renounce its role.",
    check: ({ account, name }) =>
      account.kind === "timelock" && (account.admins?.length ?? 0) > 0
        ? `${name} is a timelock whose roles can be given without its delay, by ${account.admins?.join(", ")}.`
        : undefined,
  },
];

function isUnproven(account: ExaminedAccount): account is Extract<ExaminedAccount, { kind: "eoa" }> {
  return account.kind === "eoa" && account.ability === "unknown";
}

/** Number of accounts of which it is not known that they cannot sign. */
function countAble(accounts: readonly ExaminedAccount[]): number {
  return accounts.filter(({ ability }) => ability !== "unable").length;
}

const order: readonly LintSeverity[] = ["error", "warning", "note"];

/** Judges the new owner and every account behind it. What is wrong with one of those alone is only a warning. */
export function judgeOwner(examination: Omit<OwnerExamination, "findings">): readonly LintFinding[] {
  const { newOwner, owner } = examination;
  const role = isAddressEqual(newOwner.address, owner) ? "owner" : "new owner";
  const accounts = [
    { account: newOwner, name: `The ${role} ${newOwner.address}`, isNewOwner: true },
    ...behind(newOwner),
  ];
  const findings = ownerRules.flatMap(({ name: rule, severity, advice, check }) =>
    accounts.flatMap((judged): LintFinding[] => {
      const problem = check({ ...examination, ...judged });
      if (problem === undefined) return [];
      const told = typeof problem === "string" ? { message: problem, severity } : problem;
      const isWeaker = told.severity === "error" && !judged.isNewOwner;
      return [{ rule, advice, ...told, ...(isWeaker && { severity: "warning" }) }];
    }),
  );
  const unique = new Map(findings.map((finding) => [`${finding.rule} ${finding.message}`, finding]));
  return [...unique.values()].toSorted((one, other) => order.indexOf(one.severity) - order.indexOf(other.severity));
}

type Named = Pick<JudgedAccount, "account" | "name" | "isNewOwner">;

function behind(account: ExaminedAccount): readonly Named[] {
  const named = (accounts: readonly ExaminedAccount[] | undefined, role: string, of: string) =>
    (accounts ?? []).flatMap((one): readonly Named[] => [
      { account: one, name: `The ${role} ${one.address} of the ${of} ${account.address}`, isNewOwner: false },
      ...behind(one),
    ]);
  if (account.kind === "safe") return named(account.owners, "owner", "Safe");
  if (account.kind !== "timelock") return [];
  return [...named(account.proposers, "proposer", "timelock"), ...named(account.executors, "executor", "timelock")];
}

/**
 * Returns normally if no finding is an error, or if the rule of every error is accepted by name. A final rule cannot be
 * accepted.
 *
 * @throws LintRefusedError
 */
export function requireOwnerFit(findings: readonly LintFinding[], accepted: ReadonlySet<string>): void {
  const isFinal = ({ rule }: LintFinding) => ownerRules.some((one) => one.name === rule && one.isFinal);
  const errors = findings.filter((one) => one.severity === "error" && (isFinal(one) || !accepted.has(one.rule)));
  if (errors.length > 0) throw new LintRefusedError(errors, { canAccept: !errors.some(isFinal) });
}
