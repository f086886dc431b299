import { ArgumentType } from "hardhat/types/arguments";
import { type AcceptingCommand, acceptableNamesOf, lintingCommands } from "../commands/acceptable-names.ts";

/** An optional string option. Hardhat has no other type of option that may be absent. */
export function optional<const Name extends string>(name: Name, description: string) {
  return { name, description, type: ArgumentType.STRING_WITHOUT_DEFAULT, defaultValue: undefined } as const;
}

/** An argument that accepts several values. The task must refuse an empty list. */
export function several<const Name extends string>(name: Name, description: string) {
  const none: string[] = [];
  return { name, description, type: ArgumentType.STRING, defaultValue: none } as const;
}

/** A task's description, with an example of the command line. */
export function withExample(description: string, example: string): string {
  return `${description}, as in: npx hardhat dstack ${example}`;
}

export const appOption = optional("app", "The app: 0x…, app_…, or its name in dstack.apps (default: the only one)");
export const cvmOption = optional("cvm", "Name or id of a CVM of the app, to look the app up in the cloud");
export const kmsOption = optional("kms", "Address of the DstackKms (default: dstack.kms or DSTACK_KMS, or the CVM's)");

/** `--accept` of a command. The help lists the names that it takes. */
export function acceptOption(command: AcceptingCommand) {
  const names = acceptableNamesOf(command);
  const all = lintingCommands.includes(command) ? [...names, "rules of the linter"] : names;
  return optional("accept", `Refusals to override, by name, separated by commas: ${all.join(", ")}`);
}

export const batchOption = optional(
  "batch",
  "How to send: auto, none, 7702 (the account delegates), safe or safe:FILE; where a Safe is the owner, auto writes the file for it (default: auto)",
);
export const storeOption = optional("store", "File that keeps the history (default: in the project's cache)");
export const fromBlockOption = optional("fromBlock", "A block before the app's creation, for nodes without old state");
export const jsonFlag = { name: "json", description: "Print exactly one JSON object on standard output" } as const;
export const yesFlag = { name: "yes", description: "Ask nothing before sending" } as const;
