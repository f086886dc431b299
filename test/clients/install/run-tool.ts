import { type Command, describeEnd, runCommand } from "../../../scripts/support/run-command.ts";

/** Runs a command that has to succeed and returns what it printed. Its output is shown only if it fails. */
export async function runTool(command: Omit<Command, "output" | "reports">): Promise<string> {
  const outcome = await runCommand({ ...command, output: "keep" });
  if (outcome.code === 0) return outcome.output;
  throw new Error(`${command.command} ${command.args.join(" ")} ${describeEnd(outcome)}:\n${outcome.output}`);
}
