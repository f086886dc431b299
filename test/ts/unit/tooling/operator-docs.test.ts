import { expect } from "chai";
import hre from "hardhat";
import type { Task } from "hardhat/types/tasks";
import { lintRules } from "../../../../src/core/lint/rules.ts";
import { exitCodes } from "../../../../src/errors/index.ts";
import { negativeAnswer } from "../../../../src/hardhat/connect/run-task.ts";
import { readText } from "../../../support/repository/files.ts";

const page = readText("docs/operator.md");

function tasksBelow(task: Task): Task[] {
  return [...(task.isEmpty ? [] : [task]), ...[...task.subtasks.values()].flatMap(tasksBelow)];
}

describe("docs/operator.md", () => {
  const tasks = tasksBelow(hre.tasks.getTask("dstack"));

  it("lists the rules of the linter, row by row", () => {
    const rows = [...page.matchAll(/^\| `([\w-]+)` \| (error|warning|note) \| (.+) \|$/gm)];
    expect(rows.map(([, name, severity, summary]) => ({ name, severity, summary }))).to.deep.equal(
      lintRules.map(({ name, severity, summary }) => ({ name, severity, summary })),
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

  it("has its promise kept: every task explains itself with an example of its own", () => {
    const silent = tasks.filter(
      ({ id, description }) => id[1] !== "up" && !description.includes(`npx hardhat ${id.join(" ")}`),
    );
    expect(silent.map(({ id }) => id.join(" "))).to.deep.equal([]);
  });
});
