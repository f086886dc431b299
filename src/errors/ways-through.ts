/** How a change is made where a contract must make it. */
export const waysThrough = {
  safe: "No plain key signs for a Safe. Tasks such as dstack hash add prepare the change for its owners, with --batch auto or --batch safe (buildSafeBatch).",
  timelock:
    "No plain key signs for a timelock: an account with its PROPOSER_ROLE schedules the change, and after the delay one with its EXECUTOR_ROLE carries it out. buildTimelockBatch encodes both.",
  contract: "No plain key signs for a contract: have the change proposed and made through it.",
} as const;

/** What a contract is that owns another: a kind of `readOwner` for which no plain key signs. */
export type ContractOwnerKind = keyof typeof waysThrough;
