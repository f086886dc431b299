import { expect } from "chai";
import fc from "fast-check";
import { isDstackError } from "../../../../src/errors/index.ts";
import { memoryJournal } from "../../../../src/update/journal.ts";
import type { UpdateResult } from "../../../../src/update/run.ts";
import { runUpdate } from "../../../../src/update/update-cvm.ts";
import { Crash, type CrashPoint, crashingJournal } from "../../../support/update/crashing-journal.ts";
import { simulate } from "../../../support/update/simulation.ts";

const request = {
  dockerCompose: "services:\n  app:\n    image: nginx:2\n",
  environment: [{ key: "MODE", value: "green" }],
};

const crashPoints: fc.Arbitrary<CrashPoint> = fc.record({
  write: fc.nat(10),
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
          const journal = memoryJournal();
          let result: UpdateResult | undefined;
          for (let life = 0; result === undefined; life++) {
            expect(life, "lives").to.be.lessThan(throws.length + crashes.length + 3);
            const run = simulation.start(crashingJournal(journal, crashes[life]), request);
            result = await runUpdate(run).catch(endedBadly);
          }

          expect(simulation.cloud.confirmed).to.deep.equal([result.composeHash]);
          expect(simulation.cloud.composeHash).to.equal(result.composeHash);
          expect(result.outcome).to.be.oneOf(["updated", "environmentReplaced"]);
          const mined = simulation.chain.minedOurs.map(({ intent }) => intent?.step);
          expect(mined).to.deep.equal(["addDevice", "addComposeHash"]);
        },
      ),
      // A failure is shrunk, but not for minutes.
      { numRuns: 80, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: true },
    );
  });
});

/** A crash, or an error that says to run the update again. Every other error is a fault of the flow. */
function endedBadly(error: unknown): undefined {
  if (error instanceof Crash || (isDstackError(error) && (error.retryable || error.name === "NonceTakenError"))) return;
  throw error;
}
