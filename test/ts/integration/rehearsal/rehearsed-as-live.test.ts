import { join } from "node:path";
import { expect } from "chai";
import type { Address } from "viem";
import { readKmsStatus } from "../../../../src/chain/read-kms.ts";
import { contractsOf } from "../../../../src/governance/prove-execution.ts";
import { loadPlan } from "../../../../src/plans/plan-file.ts";
import { executeAsOwner, type RehearsedExecution } from "../../../../src/rehearsal/execute-as-owner.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";
import { type AppCase, type AppName, appCases, hashOf } from "../../../support/upstream/cases.ts";
import { Operators, plannerOf } from "../../../support/upstream/operators.ts";
import { startUpstream, type Upstream } from "../../../support/upstream/start-upstream.ts";

/** The gas of a live transaction and of its rehearsal may differ by this part: signatures and nonces have other bytes. */
const tolerance = 0.02;

describe("a plan that is rehearsed on a fork, and then executed on the chain that was forked", () => {
  const directory = useTemporaryDirectory();
  let upstream: Upstream;
  let operators: Operators;
  let fork: World;
  /** The code that the current KMS gives new apps. */
  let newCode: Address;
  let untouched: { readonly upstream: string; readonly fork: string };

  before(async () => {
    upstream = await startUpstream();
    const { appImplementation } = await readKmsStatus(upstream.chain.client, { kms: upstream.kms.current });
    newCode = appImplementation;
    fork = await startWorld({ forkUrl: upstream.forkUrl, cvms: false });
    untouched = { upstream: await upstream.snapshot(), fork: await fork.snapshot() };
  });
  // The Safe's service keeps what is queued, whatever the chain returns to.
  beforeEach(async () => {
    operators = await Operators.open(upstream);
  });
  afterEach(async () => {
    await operators?.close();
    await upstream.restore(untouched.upstream);
    await fork.restore(untouched.fork);
  });
  after(async () => {
    await fork?.close();
    await upstream?.close();
  });

  const newHash = { hashes: [hashOf("a new release")] };
  type Arguments = Record<string, unknown> | ((upstream: Upstream) => Record<string, unknown>);
  const cases: readonly [name: AppName, task: string, args: Arguments, batch?: "none" | "7702"][] = [
    ["one-step", "prune", { keep: "0" }, "7702"],
    ["two-step", "owner transfer", ({ owners }) => ({ address: owners.safe })],
    ["layout-054", "app upgrade", ({ kms }) => ({ implementation: newCode, contract: "DstackApp", kms: kms.live })],
    ["layout-042", "hash add", newHash],
    ["of-safe", "prune", { keep: "0" }],
    ["of-timelock", "prune", { keep: "0" }],
    ["of-timelock-of-safe", "hash add", newHash],
  ];
  for (const [name, task, args, batch = "none"] of cases) {
    it(`has the same events and the gas of the live change: ${task} of ${name}, --batch ${batch}`, async () => {
      const app: AppCase = appCases[name];
      const file = join(directory.path, "plan.json");
      await operators.run(plannerOf(app), task, {
        ...{ app: upstream.apps[name].appId, plan: file },
        ...(typeof args === "function" ? args(upstream) : args),
      });
      const plan = await loadPlan(file);
      const calls = plan.changes.map(({ call }) => call);
      const watched = [
        ...contractsOf({ contracts: plan.contracts, calls }),
        ...(plan.owner.kind === "timelock" ? [{ contract: "timelock", address: plan.owner.address } as const] : []),
      ];
      const rehearsed = await executeAsOwner(fork.chain.client, {
        ...{ plan, batch: { mode: batch, allowDelegation: true } },
        fees: { baseFeePerGas: 5_000_000n, priorityFeePerGas: 1_000_000n },
        advance: (seconds) => fork.advance(seconds),
      });
      expect(rehearsed.failure).to.equal(undefined);
      expect(rehearsed.proofs.map(({ kind }) => kind)).to.satisfy((kinds: string[]) =>
        kinds.every((kind) => kind === "applied"),
      );

      const before = await upstream.chain.client.getBlockNumber({ cacheTime: 0 });
      await operators.execute(app.owner, file, { batch });
      const live = await operators.transactionsSince(before, watched);
      const steps = liveSteps(rehearsed);
      expect(steps.length).to.be.greaterThan(0);
      expect(steps.map(({ events }) => events)).to.deep.equal(live.map(({ events }) => events));
      for (const [index, { gasUsed }] of live.entries())
        expect(Number(steps[index]?.liveGas), `transaction ${index}`).to.be.closeTo(
          Number(gasUsed),
          tolerance * Number(gasUsed),
        );
    });
  }

  function liveSteps({ steps }: RehearsedExecution) {
    return steps.flatMap((step) => (step.kind === "transaction" && step.isLive ? step : []));
  }
});
