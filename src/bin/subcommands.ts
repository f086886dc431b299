import { readPackageVersion } from "../files/package-version.ts";
import type { CommandContext } from "../mock-cloud/command.ts";

export interface CommandOutcome {
  /** 2 if the command cannot start as it was asked to. */
  readonly exitCode: 0 | 2;
  /** What keeps the process alive, if something does. */
  readonly running?: { close(): Promise<void> } | undefined;
}

interface Subcommand {
  readonly summary: string;
  /** Loads the code of this subcommand only. */
  readonly load: () => Promise<(context: CommandContext) => Promise<CommandOutcome>>;
}

/** By name, in the order of the help. */
export const subcommands: Readonly<Record<string, Subcommand>> = {
  "mock-cloud": {
    summary: "starts a mock of Phala Cloud that the official clients can use",
    load: async () => (await import("../mock-cloud/command.ts")).runCommand,
  },
};

/** The command `dstack-toolkit`: runs the subcommand that the first argument names. */
export async function runToolkit(context: CommandContext): Promise<CommandOutcome> {
  const { args, stdout, stderr } = context;
  const [name, ...rest] = args;
  if (name === "--help" || name === "-h" || name === "help") stdout.write(help());
  else if (name === "--version" || name === "-v") stdout.write(`${readPackageVersion()}\n`);
  else {
    const subcommand = name !== undefined && Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
    if (subcommand) return (await subcommand.load())({ ...context, args: rest });
    const problem = name === undefined ? "A subcommand is missing." : `There is no subcommand ${JSON.stringify(name)}.`;
    stderr.write(`${problem}\nSee dstack-toolkit --help.\n`);
    return { exitCode: 2 };
  }
  return { exitCode: 0 };
}

function help(): string {
  const width = Math.max(...Object.keys(subcommands).map((name) => name.length), "--version".length);
  const line = (name: string, text: string) => `  ${name.padEnd(width)}  ${text}`;
  return [
    "Usage: dstack-toolkit SUBCOMMAND [options]",
    "",
    ...Object.entries(subcommands).map(([name, { summary }]) => line(name, summary)),
    "",
    line("--help", "prints this help; SUBCOMMAND --help prints the options of a subcommand"),
    line("--version", "prints the version of the package"),
    "",
    "The tasks that change apps are tasks of Hardhat: npx hardhat dstack --help.",
    "",
  ].join("\n");
}
