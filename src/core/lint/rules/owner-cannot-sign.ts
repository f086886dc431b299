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
      ...(pendingOwner === undefined ? [] : judgeInvited(subject, pendingOwner)),
      ...(newOwner === undefined ? [] : judgeNew(subject, newOwner)),
    ];
  },
};

/** An offer that nobody can take changes nothing, least of all what the present owner may do. */
function judgeInvited(subject: LintSubject, invited: OwnerFacts): LintProblem[] {
  return judge(subject, invited, "The invited owner").map((problem) => ({ ...problem, severity: "warning" }));
}

/** Before a transfer a doubt is an error: afterwards it may be too late. */
function judgeNew(subject: LintSubject, newOwner: OwnerFacts): LintProblem[] {
  const isTwoStep = subject.app?.policy?.isTwoStep ?? false;
  // Where a new owner must accept, one that may be unable to call leaves everything as it is; zero withdraws an offer.
  const isKnownNotToCall = isAppOrKms(subject, newOwner.address);
  if (isTwoStep && !isKnownNotToCall && ["renounced", "contract"].includes(newOwner.kind)) return [];
  return judge(subject, newOwner, "The new owner").map((problem) => ({ ...problem, severity: "error" }));
}

function judge(subject: LintSubject, owner: OwnerFacts, who: string): LintProblem[] {
  const { calls = [] } = subject;
  const { address, kind, isUsed } = owner;
  if (kind === "renounced") {
    const message = "The ownership was renounced: nobody can change this app any more.";
    return [
      { message, advice: "Deploy a new app to change anything.", severity: calls.length > 0 ? "error" : "warning" },
    ];
  }
  if (isAppOrKms(subject, address) || isKeyless(address)) {
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

function isAppOrKms({ app, kms }: LintSubject, address: string): boolean {
  return [app?.appId, kms?.address].some((contract) => contract?.toLowerCase() === address.toLowerCase());
}

/** Precompiles, and the addresses things are sent to in order to be lost. */
function isKeyless(address: string): boolean {
  return BigInt(address) <= 0xffffn || /^0x(?:0{36}dead|dead0{32}dead|(.)\1{39})$/i.test(address);
}
