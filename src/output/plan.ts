import { checksumAddress } from "viem";
import { nameOfCvm } from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import { type ChangePlan, type ChangeReason, type OwnerKind, prunePlanOf } from "../plans/change-plan.ts";
import { formatTime, shellWord } from "./format.ts";
import type { Output } from "./output.ts";
import { showPrice } from "./price.ts";
import { showPrunePlan } from "./prune.ts";

/** Shows everything that a plan says, for the person who decides about it. The text of a file cannot add lines. */
export function showPlan(output: Output, uncleaned: ChangePlan): void {
  const plan = cleanStrings(uncleaned);
  const { task, createdBy, createdAt, chainId, pinned, contracts, owner, accepted, changes, price, digest } = plan;
  output.title(`Plan of dstack ${task}`);
  output.line(`  made      ${formatTime(createdAt)} UTC, by ${createdBy}`);
  output.line(`  chain     ${chainId}, as it was at block ${pinned.number} (${formatTime(pinned.timestamp)} UTC)`);
  for (const { contract, address, generation } of contracts)
    output.line(`  ${contract.padEnd(8)}  ${checksumAddress(address)}, generation ${generation}`);
  output.line(`  owner     ${checksumAddress(owner.address)}, ${ownerWords[owner.kind]}`);
  if (accepted.length > 0) output.line(`  accepted  ${accepted.join(", ")}`);
  output.line(`  digest    ${digest}`);
  const prune = prunePlanOf(plan);
  if (prune !== undefined) {
    output.line();
    showPrunePlan(output, prune);
  }
  for (const { id, name, previousComposeHash, composeHash } of plan.update?.cvms ?? []) {
    output.line(`\nCVM ${nameOfCvm({ id, name })}`);
    output.line(`  from  ${previousComposeHash ?? "not known"}`);
    output.line(`  to    ${composeHash}`);
  }
  if (plan.upgrade !== undefined) {
    const { implementation, codeHash, previousImplementation, generation, layout } = plan.upgrade;
    output.line(`\nImplementation  ${checksumAddress(implementation)}, generation ${generation}`);
    output.line(`  code hash     ${codeHash}`);
    output.line(`  replaces      ${checksumAddress(previousImplementation)}`);
    output.line(`  layout        ${layout}`);
  }
  output.line(changes.length === 0 ? "\nThe plan changes nothing." : "\nCalls, in the order of their execution:");
  changes.forEach(({ call, reason }, index) => {
    output.line(`${index + 1}. ${call.description}`);
    output.line(`   on        ${checksumAddress(call.to)} (${call.contract})`);
    output.line(`   because   ${describeChangeReason(reason)}`);
    output.line(`   event     ${call.proof.eventNames.join(" or ")}`);
    output.line(`   calldata  ${call.data}`);
  });
  if (price === null) return;
  output.line("\nPrice when the plan was made:");
  showPrice(output, price);
}

const ownerWords: Readonly<Record<OwnerKind, string>> = {
  key: "one key",
  safe: "a Safe",
  timelock: "a timelock",
  contract: "a contract, neither a Safe nor a timelock",
};

/** The reason as the end of a sentence. */
export function describeChangeReason(reason: ChangeReason): string {
  switch (reason.rule) {
    case "requested":
      return "the operator requested it";
    case "update":
      return `the update of ${reason.cvms.map(nameOfCvm).join(", ")} needs it`;
    case "unneeded":
      return "nothing needs the compose hash any more";
    case "revoked":
      return `the compose hash must not run any more${reason.note === undefined ? "" : `: ${reason.note}`}`;
    case "upgrade":
      return "the app gets this implementation";
  }
}

/** Lines with commands as the next step of `--json`, in which a semicolon separates commands. Null if there are none. */
export function toNextStep(lines: readonly string[]): string | null {
  const steps = lines.map((line) => line.trim().replace(/^(?:next|then) +/, ""));
  return (
    steps.reduce((before, step) => `${before}${isCommand(before) && isCommand(step) ? ";" : ""} ${step}`.trim(), "") ||
    null
  );
}

/** Whether a text ends, or a step begins, with a command of this package. */
function isCommand(text: string): boolean {
  return /^npx hardhat /.test(text.split(/[;:.] /).at(-1) ?? "");
}

export const changesNothing = "The plan changes nothing, so there is nothing to execute.";

/** That a plan was executed, by what, and what was undone since, as lines. */
export function describeApplied(appliedBy: readonly string[], undone: readonly string[]): readonly string[] {
  return [
    `The plan was already applied, by ${appliedBy.length === 1 ? "transaction" : "transactions"}`,
    ...appliedBy.map((hash) => `  ${hash}`),
    ...describeUndone(undone),
    "To make the same changes again, make a new plan.",
  ];
}

/** What was undone since a plan was executed, as lines. @param undone null if that is not known */
export function describeUndone(undone: readonly string[] | null): readonly string[] {
  if (undone === null) return ["Whether anything was undone since is not known: the endpoint does not serve the logs."];
  if (undone.length === 0) return [];
  return ["But not everything is still as the plan made it:", ...undone.map((problem) => `  ${problem}`)];
}

/** How a plan is looked at and executed, as lines, without what was done already. */
export function nextCommands(kind: OwnerKind, file: string, network: string, done = 0): readonly string[] {
  const named = shellWord(file);
  const commands = ["plan show", "plan check", ...executing[kind]].slice(done);
  return commands.map((command, index) => {
    const at = command === "plan show" ? "" : ` --network ${network}`;
    return `  ${index === 0 ? "next" : "then"}    npx hardhat dstack ${command} ${named}${at}`;
  });
}

/** The command that comes next for a plan, as a line. */
export function nextCommand(task: string, file: string, network: string, options: readonly string[] = []): string {
  const words = ["npx hardhat dstack", task, shellWord(file), ...options, "--network", network];
  return `  next    ${words.join(" ")}`;
}

const executing: Readonly<Record<OwnerKind, readonly string[]>> = {
  key: ["plan apply"],
  safe: ["safe propose"],
  timelock: ["timelock schedule"],
  contract: ["plan apply"],
};

/** Cleans every string of a plan except hex, which may be long. */
function cleanStrings<Value>(value: Value): Value {
  const clean = (part: unknown): unknown => {
    if (typeof part === "string") return /^0x[0-9a-f]*$/.test(part) ? part : cleanText(part);
    if (Array.isArray(part)) return part.map(clean);
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, each]) => [key, clean(each)]));
  };
  return clean(value) as Value; // only strings change
}
