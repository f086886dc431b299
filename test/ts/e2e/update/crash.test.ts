import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import type { UpdateResult } from "../../../../src/update/run.ts";
import { Crash, type CrashPoint, crashingLedger } from "../../../support/ledger/crashing-ledger.ts";
import type { TestCvm } from "../../../support/mock-cloud/cloud-world.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";
import {
  chainOf,
  countTransactions,
  createCvm,
  createCvmOffChain,
  disallowDevice,
  offChain,
  readAppHistory,
  startUpdateWorld,
  type UpdateChanges,
  type UpdateWorld,
  update,
} from "../../../support/update/update-world.ts";

const dockerCompose = "services:\n  app:\n    image: nginx:2\n";
const environment = [{ key: "MODE", value: "green" }];

/** The writes of an update that allows a device and a hash. Both are sent before the first wait. */
const writes = [
  "patched",
  "record",
  "markSent",
  "record",
  "markSent",
  "setState",
  "setState",
  "confirming",
  "confirmed",
  "endBatch",
  "completed",
];
const whens = ["before", "after"] as const;

describe("an update that crashes", () => {
  const directory = useTemporaryDirectory();
  let world: UpdateWorld;
  before(async () => {
    world = await startUpdateWorld();
  });
  after(() => world.close());

  /** One process's life: opens the ledger, updates, and dies where it is told to. */
  async function runOnce(
    cvm: TestCvm,
    point: CrashPoint | undefined,
    changes: Partial<UpdateChanges> = {},
  ): Promise<UpdateResult | Crash> {
    using ledger = openLedger(join(directory.path, "ledger.sqlite"));
    try {
      return await update(world, cvm, {
        dockerCompose,
        environment,
        ...changes,
        ledger: point === undefined ? ledger : crashingLedger(ledger, point),
      });
    } catch (error) {
      if (error instanceof Crash) return error;
      throw error;
    }
  }

  async function freshCvm(): Promise<TestCvm> {
    const cvm = await createCvm(world, { environment: [{ key: "MODE", value: "blue" }] });
    await disallowDevice(world, cvm);
    return cvm;
  }

  for (const [index, what] of writes.entries()) {
    const write = index + 1;
    for (const when of whens) {
      it(`${when} write ${write}, ${what}, ends in one confirmed update when it is run again`, async () => {
        const cvm = await freshCvm();
        const transactionsBefore = await countTransactions(world);
        const devicesBefore = (await readAppHistory(world, cvm.appId)).devicesAdded;

        expect(await runOnce(cvm, { write, when })).to.be.instanceOf(Crash);
        const result = await runOnce(cvm, undefined);
        if (result instanceof Crash) throw result;

        const { hashesAdded, devicesAdded } = await readAppHistory(world, cvm.appId);
        const { composeHash } = result;
        expect(hashesAdded).to.deep.equal([cvm.composeHash, composeHash]);
        expect(devicesAdded - devicesBefore).to.equal(1);
        expect(await countTransactions(world)).to.equal(transactionsBefore + 2);
        const isNothingLeft = what === "completed" && when === "after";
        const operations = world.cloud.readHistory(cvm.id).filter(({ kind }) => kind === "update");
        expect(operations.map(({ state }) => state)).to.deep.equal(isNothingLeft ? ["done", "done"] : ["done"]);
        expect(operations[0]).to.deep.include({ composeHash });
        expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal(environment);
        // After the last write there is nothing to resume: a request for the environment sends it again.
        expect(result).to.include(
          isNothingLeft
            ? { outcome: "environmentReplaced", isResumed: false }
            : { outcome: "updated", isResumed: write > 1 || when === "after" },
        );
        if (!isNothingLeft) {
          expect(result.transactions.map(({ step }) => step)).to.deep.equal(["addDevice", "addComposeHash"]);
          expect(result).to.include({ previousComposeHash: cvm.composeHash });
        }
      });
    }
  }

  it("repeatedly pays each step once", async () => {
    const cvm = await freshCvm();
    const before = await countTransactions(world);
    let crashes = 0;
    for (;;) {
      // A few writes further at most, then dead again.
      const result = await runOnce(cvm, { write: 1 + (crashes % 4), when: "after" });
      if (!(result instanceof Crash)) break;
      expect(++crashes).to.be.lessThan(40);
    }
    expect(crashes).to.be.greaterThan(5);
    expect(await countTransactions(world)).to.equal(before + 2);
    expect(world.cloud.readHistory(cvm.id).filter(({ kind }) => kind === "update")).to.have.length(1);
  });

  it("after the confirmation replaces the environment if the requested one has changed", async () => {
    const cvm = await freshCvm();
    const before = await countTransactions(world);
    expect(await runOnce(cvm, { write: 1 + writes.indexOf("confirmed"), when: "after" })).to.be.instanceOf(Crash);
    const changed = [{ key: "MODE", value: "red" }];
    const result = await runOnce(cvm, undefined, { environment: changed });
    expect(result).to.include({ outcome: "environmentReplaced" });
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal(changed);
    expect(await countTransactions(world)).to.equal(before + 2);
  });

  it("continues without a key when every payment is recorded", async () => {
    const cvm = await freshCvm();
    await runOnce(cvm, { write: 5, when: "after" });
    using ledger = openLedger(join(directory.path, "ledger.sqlite"));
    const result = await update(world, cvm, { dockerCompose, environment, ledger, chain: chainOf(world) });
    expect(result).to.include({ outcome: "updated", isResumed: true });
  });

  describe("on an off-chain KMS", () => {
    for (const write of [1, 2]) {
      for (const when of whens) {
        it(`${when} write ${write} ends with the new compose and environment`, async () => {
          const cvm = await createCvmOffChain(world, { environment: [{ key: "MODE", value: "blue" }] });
          expect(await runOnce(cvm, { write, when }, offChain(world, cvm))).to.be.instanceOf(Crash);
          const result = await runOnce(cvm, undefined, offChain(world, cvm));
          expect(result).to.have.property("outcome").that.is.oneOf(["updated", "environmentReplaced"]);
          expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal(environment);
          const last = world.cloud.readHistory(cvm.id).at(-1);
          expect(last).to.deep.include({ state: "done", composeHash: (result as UpdateResult).composeHash });
        });
      }
    }
  });

  it("leaves no secret in the ledger", async () => {
    const cvm = await freshCvm();
    await runOnce(cvm, undefined, { environment: [{ key: "MODE", value: "a-very-secret-value" }] });
    const files = readdirSync(directory.path).map((name) => readFileSync(join(directory.path, name), "latin1"));
    const text = files.join("");
    expect(text).to.include("completed");
    for (const secret of ["a-very-secret-value", "key-of-the-integration-tests", "MODE"]) {
      expect(text, secret).to.not.include(secret);
    }
  });
});
