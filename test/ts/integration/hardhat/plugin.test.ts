import { expect } from "chai";
import hre from "hardhat";
import { configVariable } from "hardhat/config";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import type { HardhatUserConfig } from "hardhat/types/config";
import { TaskDefinitionType } from "hardhat/types/tasks";
import dstack from "../../../../src/hardhat/index.ts";
import { rejection } from "../../../support/rejection.ts";

const environmentOf = (config: HardhatUserConfig = {}) =>
  createHardhatRuntimeEnvironment({ plugins: [dstack], ...config });
const readKey = async (config?: HardhatUserConfig) => (await environmentOf(config)).config.dstack.ownerKey.get();

const nameOf = (id: readonly string[]) => id.slice(1).join(" ");

describe("the Hardhat plugin", () => {
  const key = `0x${"4a".repeat(32)}`;
  afterEach(() => {
    delete process.env.DSTACK_OWNER_KEY;
    delete process.env.A_KEY_OF_MINE;
  });

  it("defines its tasks below dstack, also in this repository", () => {
    expect([...hre.tasks.getTask("dstack").subtasks.keys()]).to.include("up");
  });

  it("gives --yes to every task that sends, signs or shares something", () => {
    const all = (dstack.tasks ?? []).flatMap((one) => (one.type === TaskDefinitionType.NEW_TASK ? [one] : []));
    const changes = all.filter(({ id, options }) => "dryRun" in options || /^safe (?:propose|sign)$/.test(nameOf(id)));
    expect(changes.map(({ id }) => nameOf(id))).to.include.members(["update", "hash add", "tx replace", "plan apply"]);
    expect(changes.filter(({ options }) => !("yes" in options)).map(({ id }) => nameOf(id))).to.deep.equal([]);
  });

  it("reads the owner's key from DSTACK_OWNER_KEY when it is set", async () => {
    expect(await readKey()).to.equal("");
    process.env.DSTACK_OWNER_KEY = key;
    expect(await readKey()).to.equal(key);
  });

  it("reads the key from the variable that a project names, which may be unset", async () => {
    const config = { dstack: { ownerKey: configVariable("A_KEY_OF_MINE") } };
    process.env.DSTACK_OWNER_KEY = key;
    expect(await readKey(config)).to.equal("");
    process.env.A_KEY_OF_MINE = "0x01";
    expect(await readKey(config)).to.equal("0x01");
    expect(await readKey({ dstack: {} })).to.equal(key);
    expect(await readKey({ dstack: { ownerKey: "0x02" } })).to.equal("0x02");
  });

  for (const [path, dstack] of [
    ["config.dstack", 7],
    ["config.dstack", null],
    ["config.dstack.ownerKey", { ownerKey: 7 }],
  ] as const) {
    it(`refuses ${JSON.stringify(dstack)} as its configuration, and names the path`, async () => {
      const error = await rejection(environmentOf({ dstack } as unknown as HardhatUserConfig)); // what a JavaScript project can write
      expect(error).to.be.instanceOf(Error).with.property("message").that.includes(path);
    });
  }
});
