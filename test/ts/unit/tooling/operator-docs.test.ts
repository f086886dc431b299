import { expect } from "chai";
import hre from "hardhat";
import type { Task } from "hardhat/types/tasks";
import { filesBelow } from "../../../../scripts/support/paths.ts";
import { acceptableNames } from "../../../../src/commands/acceptable-names.ts";
import { negativeAnswer } from "../../../../src/commands/run.ts";
import { lintRules } from "../../../../src/core/lint/lint.ts";
import type { LintRule } from "../../../../src/core/lint/rule.ts";
import { exitCodes } from "../../../../src/errors/index.ts";
import { ownerRules } from "../../../../src/governance/owner-rules.ts";
import { readText } from "../../../support/repository/files.ts";

const page = readText("docs/operator.md");

function tasksBelow(task: Task): Task[] {
  return [...(task.isEmpty ? [] : [task]), ...[...task.subtasks.values()].flatMap(tasksBelow)];
}

type Row = Pick<LintRule, "name" | "severity" | "summary">;
const toRow = ({ name, severity, summary }: Row): Row => ({ name, severity, summary });

function listRules(from: string, to?: string) {
  const section = page.slice(page.indexOf(from), to === undefined ? undefined : page.indexOf(to));
  const rows = [...section.matchAll(/^\| `([\w-]+)` \| (error|warning|note) \| (.+) \|$/gm)];
  return rows.map(([, name, severity, summary]) => ({ name, severity, summary }));
}

describe("docs/operator.md", () => {
  const tasks = tasksBelow(hre.tasks.getTask("dstack"));

  it("lists the rules of the linter, row by row", () => {
    expect(listRules("## The linter", "## A new owner")).to.deep.equal(lintRules.map(toRow));
  });

  it("lists the rules about a new owner, row by row", () => {
    expect(listRules("## A new owner")).to.deep.equal(ownerRules.map(toRow));
  });

  it("lists the names that --accept takes, row by row", () => {
    const section = page.slice(page.indexOf("## Overriding a refusal"), page.indexOf("## What all tasks share"));
    const rows = [...section.matchAll(/^\| `([\w-]+)` \| (.+) \| (.+) \|$/gm)];
    expect(rows.map(([, name, commands, overrides]) => ({ name, commands, overrides }))).to.deep.equal(
      acceptableNames.map(({ name, commands, overrides }) => ({
        name,
        commands: commands.map((command) => `\`${command}\``).join(", "),
        overrides,
      })),
    );
  });

  it("names every task", () => {
    expect(tasks.length).to.be.greaterThan(15);
    const missing = tasks.filter(
      ({ id }) => !page.includes(`dstack ${id.slice(1).join(" ")}`) && !page.includes(`\`${id.at(-1)}\``),
    );
    expect(missing.map(({ id }) => id.join(" "))).to.deep.equal([]);
  });

  it("lists every exit code", () => {
    const rows = [...page.matchAll(/^\| (\d+) \| \S/gm)].map(([, code]) => Number(code));
    expect(rows).to.include.members([0, 1, ...Object.values(exitCodes), negativeAnswer, 130]);
  });

  it("matches the tasks: each description has an example", () => {
    const silent = tasks.filter(({ id, description }) => !description.includes(`npx hardhat ${id.join(" ")}`));
    expect(silent.map(({ id }) => id.join(" "))).to.deep.equal([]);
  });

  it("shows only examples whose options exist, on every page and in --help", () => {
    const pages = ["README.md", ...filesBelow("docs", ".md")].flatMap((path) => readText(path).split("\n"));
    const examples = [...tasks.map(({ description }) => description), ...pages].flatMap((text) =>
      [...text.matchAll(/hardhat(?: --)? (dstack [^`|]*)/g)].map(([, command = ""]) => command.split(/[ .,]+/)),
    );
    expect(examples.length).to.be.greaterThan(2 * tasks.length);
    for (const words of examples) {
      const longestFirst = tasks.toSorted((one, other) => other.id.length - one.id.length);
      const task = longestFirst.find(({ id }) => id.every((word, index) => word === words[index]));
      const given = words.flatMap((word) => /^--([a-z-]+)/.exec(word)?.[1] ?? []);
      const taken = [...(task?.options.keys() ?? [])].map((name) => name.replace(/[A-Z]/g, "-$&").toLowerCase());
      expect(["help", "network", ...taken], words.join(" ")).to.include.members(given);
      expect(task, words.join(" ")).to.not.equal(undefined);
    }
  });
});
