import { expect } from "chai";
import hre from "hardhat";
import { type AcceptingCommand, acceptableNames, namesToAccept } from "../../../../src/commands/acceptable-names.ts";
import { parseAccept } from "../../../../src/commands/arguments.ts";
import { lintRules } from "../../../../src/core/lint/lint.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { unknownKinds } from "../../../../src/prune/allowlist-use.ts";

const commands: readonly AcceptingCommand[] = [
  ...(["hash", "hash add", "hash remove", "hash revoke", "device add", "device remove", "device allow-any"] as const),
  ...(["owner transfer", "owner accept", "app deploy", "app upgrade", "kms", "update", "prune", "boot-check"] as const),
  "timelock cancel",
];
/** Each rehearsal takes the names of the task that it rehearses. */
const rehearsed: Readonly<Record<string, string>> = {
  "rehearse update": "update",
  "rehearse prune": "prune",
  "rehearse owner-transfer": "owner transfer",
  "rehearse app-upgrade": "app upgrade",
};

describe("--accept", () => {
  it("takes every name of a command at once, with spaces and empty places", () => {
    for (const command of commands) {
      const names = namesToAccept(command);
      expect([...parseAccept(command, ` ${names.join(" , ")},,`)], command).to.deep.equal(names);
      expect(new Set(names).size, command).to.equal(names.length);
    }
    expect(parseAccept("update", undefined).size).to.equal(0);
  });

  it("refuses a name that it does not know, and lists those of the command", () => {
    for (const command of commands) {
      expect(() => parseAccept(command, "everything"), command)
        .to.throw(InvalidArgumentError, `dstack ${command} has nothing named "everything"`)
        .with.property("nextStep", `Give --accept one or more of ${namesToAccept(command).join(", ")}.`);
    }
  });

  it("refuses the names of other commands", () => {
    for (const { name, commands: taking } of acceptableNames) {
      for (const command of commands.filter((other) => !(taking as readonly string[]).includes(other)))
        expect(() => parseAccept(command, name), `${command} --accept ${name}`).to.throw(InvalidArgumentError, name);
    }
  });

  it("has every rule of the linter that can stop a command and that a user can override", () => {
    const overridable = lintRules.filter(({ severity, isFinal }) => severity === "error" && isFinal !== true);
    const rules = lintRules.map(({ name }) => name);
    expect(acceptableNames.map(({ name }) => name as string).filter((name) => rules.includes(name))).to.have.members(
      overridable.map(({ name }) => name),
    );
  });

  it("overrides every unknown fact of a prune", () => {
    expect(namesToAccept("prune")).to.include.members([...unknownKinds]);
  });

  it("is an option of exactly these tasks, whose help has the names", () => {
    const tasks = [...hre.tasks.rootTasks.values()].flatMap(function below(task): (typeof task)[] {
      return [task, ...[...task.subtasks.values()].flatMap(below)];
    });
    const taking = tasks.filter(({ options }) => options.has("accept"));
    const commandOf = (id: readonly string[]) => {
      const name = id[1] === "kms" ? "kms" : id.slice(1).join(" ");
      return rehearsed[name] ?? name;
    };
    expect(new Set(taking.map(({ id }) => commandOf(id)))).to.deep.equal(new Set(commands));
    expect(tasks.filter(({ options }) => options.has("waive"))).to.deep.equal([]);
    for (const { id, options } of taking) {
      const { description = "" } = options.get("accept") ?? {};
      for (const { name, commands: takers } of acceptableNames)
        expect(description.includes(name), `${id.join(" ")}: ${name}`).to.equal(
          (takers as readonly string[]).includes(commandOf(id)),
        );
    }
  });
});
