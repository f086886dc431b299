import { expect } from "chai";
import { configVariable } from "hardhat/config";
import { TaskDefinitionType } from "hardhat/types/tasks";
import dstack from "../../../../src/hardhat/index.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";

interface Envelope {
  readonly schemaVersion: unknown;
  readonly task: unknown;
  readonly error?: { readonly code: unknown; readonly message: unknown; readonly nextStep: unknown };
}

/** A project whose network nobody answers. */
const offline = {
  apiKey: "phak_nobody",
  chain: { id: 8453, rpcUrl: "http://127.0.0.1:9/" },
  cloud: { baseUrl: "http://127.0.0.1:9/api/v1" },
} as const;

describe("the JSON of the tasks", () => {
  const tasks = (dstack.tasks ?? []).flatMap((definition) =>
    definition.type === TaskDefinitionType.NEW_TASK ? [definition] : [],
  );

  for (const { id, options } of tasks) {
    const name = id.slice(1).join(" ");
    it(`names the version and the task, and in an error the code and the next step: ${name}`, async () => {
      expect(options, "every task has --json").to.have.property("json");
      const invalid = name === "up" ? { chainPort: "none" } : {};
      const ledger = "ledger" in options ? { ledger: ":memory:" } : {};
      const run = await runTask(await projectOf(offline), id.slice(1), { json: true, ...ledger, ...invalid });
      const { schemaVersion, task, error } = run.json<Envelope>();
      expect([schemaVersion, task]).to.deep.equal([1, name]);
      expect(error?.code).to.match(/^DSTK-\d{4}$/);
      expect([typeof error?.message, typeof error?.nextStep]).to.deep.equal(["string", "string"]);
    });
  }

  it("has Hardhat's code in an error of Hardhat", async () => {
    const networks = { world: { type: "http", url: configVariable("DSTACK_TEST_NOT_SET") } } as const;
    const { error } = (
      await runTask(await projectOf(offline, {}, { networks }), ["tx", "list"], { json: true })
    ).json<Envelope>();
    expect(error).to.include({ code: "HHE7", nextStep: "The message is Hardhat's. It says what to change." });
    expect(error?.message).to.include("DSTACK_TEST_NOT_SET");
  });
});
