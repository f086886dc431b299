import { expect } from "chai";
import fc from "fast-check";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { isDstackError } from "../../../../src/errors/index.ts";
import { runCommit } from "../../../../src/update/commit-update.ts";
import { type PrepareUpdateResult, runPrepare } from "../../../../src/update/prepare-update.ts";
import type { UpdateResult } from "../../../../src/update/run.ts";
import { runUpdate } from "../../../../src/update/update-cvm.ts";
import { Crash, type CrashPoint, crashingLedger } from "../../../support/ledger/crashing-ledger.ts";
import { simulate } from "../../../support/update/simulation.ts";

const request = {
  dockerCompose: "services:\n  app:\n    image: nginx:2\n",
  environment: [{ key: "MODE", value: "green" }],
};

const crashPoints: fc.Arbitrary<CrashPoint> = fc.record({
  write: fc.integer({ min: 1, max: 5 }),
  when: fc.constantFrom("before", "after"),
});

describe("runUpdate over simulated ports", () => {
  it("pays each step once and ends confirmed, with random faults and crashes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(99), { maxLength: 400, size: "max" }),
        fc.array(crashPoints, { maxLength: 6 }),
        async (throws, crashes) => {
          const simulation = simulate(throws);
          const ledger = memoryLedger();
          let result: UpdateResult | undefined;
          for (let life = 0; result === undefined; life++) {
            expect(life, "lives").to.be.lessThan(throws.length + crashes.length + 3);
            const point = crashes[life];
            const run = simulation.start(point === undefined ? ledger : crashingLedger(ledger, point), request);
            result = await runUpdate(run).catch(endedBadly);
          }

          expect(simulation.cloud.confirmed).to.deep.equal([result.composeHash]);
          expect(simulation.cloud.composeHash).to.equal(result.composeHash);
          expect(result.outcome).to.be.oneOf(["updated", "environmentReplaced"]);
          const mined = simulation.chain.mined.map(({ intent }) => intent.step);
          expect(mined).to.deep.equal(["addDevice", "addComposeHash"]);
        },
      ),
      // A failure is shrunk, but not for minutes.
      { numRuns: 80, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: true },
    );
  });
});

describe("runPrepare and runCommit over simulated ports", () => {
  it("commit what the owners allowed, once, with random faults and crashes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(99), { maxLength: 200, size: "max" }),
        fc.array(crashPoints, { maxLength: 6 }),
        async (throws, crashes) => {
          const simulation = simulate(throws);
          const ledger = memoryLedger();
          let prepared: PrepareUpdateResult | undefined;
          while (prepared === undefined)
            prepared = await runPrepare(simulation.start(ledger, request)).catch(endedBadly);
          const { update, needed, composeHash } = prepared;
          if (update === undefined) throw new Error(`The update was ${prepared.outcome}.`);
          expect(needed.map(({ step }) => step)).to.deep.equal(["addDevice", "addComposeHash"]);
          simulation.chain.execute(needed);

          let result: UpdateResult | undefined;
          for (let life = 0; result === undefined; life++) {
            expect(life, "lives").to.be.lessThan(throws.length + crashes.length + 3);
            const point = crashes[life];
            const run = simulation.start(point === undefined ? ledger : crashingLedger(ledger, point), {});
            result = await runCommit(run, update, (hash) => simulation.chain.find(hash)).catch(endedBadly);
          }
          expect(result.outcome).to.equal("updated");
          expect(simulation.cloud.confirmed).to.deep.equal([composeHash]);
          expect(simulation.cloud.environment).to.equal(update.draft.encryptedEnvironment);
        },
      ),
      { numRuns: 40, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
    );
  });
});

/** A crash, or an error that says to run the update again. Every other error is a fault of the flow. */
function endedBadly(error: unknown): undefined {
  if (error instanceof Crash || (isDstackError(error) && error.retryable)) return;
  throw error;
}
