import { task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import { type AcceptingCommand, namesToAccept } from "../commands/acceptable-names.ts";

/** An optional string option. Hardhat has no other type of option that may be absent. */
export function optional<const Name extends string>(name: Name, description: string) {
  return { name, description, type: ArgumentType.STRING_WITHOUT_DEFAULT, defaultValue: undefined } as const;
}

/** An argument that accepts several values. Hardhat accepts an empty list too, so the command must refuse it. */
export function several<const Name extends string>(name: Name, description: string) {
  const none: string[] = [];
  return { name, description, type: ArgumentType.STRING, defaultValue: none } as const;
}

/** A task's description, with an example of the command line. */
export function withExample(description: string, example: string): string {
  return `${description}. Example: npx hardhat dstack ${example}`;
}

export const appOption = optional("app", "App: 0x…, app_…, or its name in dstack.apps (default: the only app there)");
export const cvmOption = optional("cvm", "Name or id of a CVM of the app; the cloud names its app");
export const kmsOption = optional("kms", "Address of the DstackKms (default: dstack.kms or DSTACK_KMS, or the CVM's)");

/** `--accept` of a command. The help lists the names that it takes. */
export function acceptOption(command: AcceptingCommand) {
  return optional("accept", `Refusals to override, by name, separated by commas: ${namesToAccept(command).join(", ")}`);
}

export const ledgerOption = optional(
  "ledger",
  "File that records every transaction before it is sent (default: dstack.ledger or .dstack/ledger.sqlite)",
);

export const batchOption = optional(
  "batch",
  "How to send: auto; auto:delegate (as auto, and the account may begin to delegate); none (one transaction per change); 7702 (one transaction, the account delegates to the batch executor); safe or safe:FILE (a file for the Safe app). auto writes the file if a Safe is the owner (default: auto)",
);
const planOption = optional(
  "plan",
  "File for a plan: it is written, and nothing is sent; dstack plan apply executes it, for any kind of owner",
);
export const storeOption = optional("store", "File that stores the history (default: in the project's cache)");
export const fromBlockOption = optional(
  "fromBlock",
  "A block before the app's creation; needed if the node has no old state",
);
export const indexOption = optional(
  "index",
  "Untrusted logs API that delivers the events: URL, etherscan:URL, blockscout:URL or none (default: dstack.history.index)",
);
export const jsonFlag = { name: "json", description: "Print exactly one JSON object on standard output" } as const;
export const dryRunFlag = {
  name: "dryRun",
  description: "Show what would be sent and its price, and send nothing",
} as const;
export const yesFlag = { name: "yes", description: "Send without asking for confirmation" } as const;

const untilOption = optional(
  "until",
  "What counts as done: latest, safe or finalized (default: dstack.finality, or safe; on development chains latest)",
);
export const transactionHashOption = optional(
  "transactionHash",
  "The mined transaction that used the nonce of a recorded one, if the node cannot find it",
);
const maxFeeOption = optional(
  "maxFee",
  "Highest price per gas, in gwei (default: twice the base fee, plus the priority fee)",
);
const priorityFeeOption = optional(
  "priorityFee",
  "Part of that price for the block builder, in gwei (default: what the node suggests, at most 3)",
);
const replaceOption = optional(
  "replace",
  "If the base fee rises, replace the transaction without asking, for at most this price per gas, in gwei",
);

/** A task that sends transactions, with the options that all of them have. */
export function sendingTask(id: string[], description: string) {
  return task(id, description)
    .addOption(maxFeeOption)
    .addOption(priorityFeeOption)
    .addOption(replaceOption)
    .addOption(untilOption)
    .addOption(transactionHashOption)
    .addOption(ledgerOption)
    .addFlag(dryRunFlag)
    .addFlag(yesFlag)
    .addFlag(jsonFlag);
}

/** A task that changes an app or a KMS as its owner: it sends the changes, or writes them as a plan. */
export function changingTask(id: string[], description: string) {
  return sendingTask(id, description).addOption(batchOption).addOption(planOption);
}

export const planFileArgument = {
  name: "file",
  description: "File of the plan",
  type: ArgumentType.STRING,
  defaultValue: "",
} as const;
export const pinOption = optional("pin", "For the plan of a prune: further hashes to keep, separated by commas");
export const queuedOption = optional(
  "queued",
  "For the plan of a prune: further queued calls whose hashes to keep: files or 0x…, separated by commas",
);
export const serviceOption = optional(
  "service",
  "Address of a Safe transaction service, or none (default: dstack.safe.service, else none)",
);

/** A task that compares a plan with the chain, and sends nothing. */
export function planTask(id: string[], description: string) {
  return task(id, description)
    .addPositionalArgument(planFileArgument)
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(indexOption)
    .addFlag(jsonFlag);
}

/** A task that sends transactions for a plan, after checking it. */
export function sendingPlanTask(id: string[], description: string) {
  return sendingTask(id, description)
    .addPositionalArgument(planFileArgument)
    .addOption(pinOption)
    .addOption(queuedOption)
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(indexOption);
}
