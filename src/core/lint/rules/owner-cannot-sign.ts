import type { LintProblem, LintRule } from "../lint-rule.ts";
import type { LintSubject, OwnerFacts } from "../lint-subject.ts";

export const ownerCannotSign: LintRule = {
  name: "owner-cannot-sign",
  severity: "error",
  summary: "The owner, now or after a transfer, is an address that cannot act.",
  check: (subject) => {
    const { newOwner, app } = subject;
    const { owner, pendingOwner } = app?.policy ?? {};
    return [
      ...(owner === undefined ? [] : judge(subject, owner, "The owner")),
      ...(pendingOwner === undefined ? [] : judge(subject, pendingOwner, "The invited owner")),
      ...(newOwner === undefined ? [] : judgeNew(subject, newOwner)),
    ];
  },
};

/** Before a transfer a doubt is an error: afterwards it may be too late. */
function judgeNew(subject: LintSubject, newOwner: OwnerFacts): LintProblem[] {
  const isTwoStep = subject.app?.policy?.isTwoStep ?? false;
  // Where a new owner must accept, one that cannot call leaves everything as it is; zero withdraws an offer.
  if (isTwoStep && ["renounced", "contract"].includes(newOwner.kind)) return [];
  return judge(subject, newOwner, "The new owner").map((problem) => ({ ...problem, severity: "error" }));
}

function judge({ app, kms, calls = [] }: LintSubject, owner: OwnerFacts, who: string): LintProblem[] {
  const { address, kind, isUsed } = owner;
  if (kind === "renounced") {
    const message = "The ownership was renounced: nobody can change this app any more.";
    return [
      { message, advice: "Deploy a new app to change anything.", severity: calls.length > 0 ? "error" : "warning" },
    ];
  }
  const contracts = [app?.appId, kms?.address].map((contract) => contract?.toLowerCase());
  if (contracts.includes(address.toLowerCase()) || isKeyless(address)) {
    return [{ message: `${who} ${address} can sign nothing.`, advice: "Transfer to an address somebody holds." }];
  }
  if (kind === "contract") {
    return [
      {
        message: `${who} ${address} is a contract that is no Safe and no timelock.`,
        advice: "Make sure it can call the app, before you depend on it.",
        severity: "warning",
      },
    ];
  }
  return isUsed === false
    ? [
        {
          message: `${who} ${address} never sent or held anything on this chain.`,
          advice: "Make sure somebody has its key: send it something and send it back.",
          severity: "warning",
        },
      ]
    : [];
}

/** Precompiles, and the addresses things are sent to in order to be lost. */
function isKeyless(address: string): boolean {
  return BigInt(address) <= 0xffffn || /^0x(?:0{36}dead|dead0{32}dead|(.)\1{39})$/i.test(address);
}
