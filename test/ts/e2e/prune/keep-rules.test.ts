import { expect } from "chai";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import { getCvmState } from "../../../../src/cloud/get-cvm-state.ts";
import type { ComposeHash } from "../../../../src/core/ids.ts";
import { removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { HashNotAllowedError, PruneOvertakenError } from "../../../../src/errors/index.ts";
import type { KeepRules } from "../../../../src/prune/allowlist-use.ts";
import { findMentions } from "../../../../src/prune/allowlist-use.ts";
import { applyPrunePlan } from "../../../../src/prune/apply-prune-plan.ts";
import { keepRules } from "../../../../src/prune/keep-rules.ts";
import { planPrune, removalsOf } from "../../../../src/prune/plan-prune.ts";
import { readAllowlistUseFrom } from "../../../../src/prune/read-allowlist-use.ts";
import { keepRulesWith } from "../../../support/prune/allowlist-use.ts";
import { buildScenario, type PruneScenario } from "../../../support/prune/prune-scenario.ts";
import {
  allow,
  allowedNow,
  commitUpdate,
  control,
  type PruneWorld,
  prepareUpdate,
  sourceOf,
  startPruneWorld,
} from "../../../support/prune/prune-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";

/** A world in which one rule alone stands between a hash and its removal. */
interface Case {
  /** Brings it about. Answers what only this rule keeps. */
  arrange(): Promise<readonly ComposeHash[]>;
  readonly policy?: () => Partial<KeepRules>;
  /** What becomes of the app without the hash. */
  harm(): Promise<void>;
}

describe("without one of the keep rules", () => {
  let world: PruneWorld;
  let scenario: PruneScenario;
  let untouched: string;
  before(async () => {
    world = await startPruneWorld({ cloud: { rolloverMs: 20 } });
    scenario = await buildScenario(world);
  });
  beforeEach(async () => {
    untouched = await world.snapshot();
  });
  afterEach(async () => {
    world.cloud.clearFaults();
    await world.cloud.whenIdle();
    await world.restore(untouched);
  });
  after(() => world.close());

  const cvms = () => getAppCvms(world.cloudClient, { appId: world.appId });
  /** The next boot of the CVM that has the hash. */
  async function bootErrorOf(hash: ComposeHash): Promise<string | undefined> {
    const id = (await cvms()).find(({ composeHash }) => composeHash === hash)?.id ?? "";
    await control(world, id, "restart");
    return (await getCvmState(world.cloudClient, { cvm: id })).bootError;
  }
  const isGone = async (...hashes: readonly ComposeHash[]): Promise<void> => {
    expect(await allowedNow(world, hashes)).to.deep.equal([]);
  };
  /** Everything of the scenario that has a reason, but for one rule's. */
  const others = (...left: readonly ComposeHash[]) =>
    scenario.all.filter((hash) => !left.includes(hash)).map((composeHash) => ({ composeHash, source: "--pin" }));

  const cases: Readonly<Record<string, Case>> = {
    running: {
      arrange: async () => [scenario.first, ...scenario.replicas],
      async harm() {
        for (const hash of [scenario.first, ...scenario.replicas]) {
          expect(await bootErrorOf(hash)).to.equal("Compose hash not allowed");
        }
      },
    },
    "moving-to": {
      async arrange() {
        const update = await prepareUpdate(world, "moving");
        await allow(world, update.composeHash);
        world.cloud.setFault({ kind: "slow-rollover", ms: 3_600_000 });
        await commitUpdate(world, update);
        return [update.composeHash];
      },
      async harm() {
        await world.advance(3_600);
        await world.cloud.whenIdle();
        const { bootError } = await getCvmState(world.cloudClient, { cvm: world.cvm });
        expect(bootError).to.equal("Compose hash not allowed");
      },
    },
    prepared: {
      arrange: async () => [scenario.prepared.composeHash],
      harm: async () => void (await catchError(commitUpdate(world, scenario.prepared), HashNotAllowedError)),
    },
    queued: {
      arrange: async () => [scenario.queued],
      policy: () => ({
        queued: [{ source: "safe.json", composeHashes: findMentions(scenario.safeFile, scenario.all) }],
        pins: others(scenario.queued),
      }),
      harm: () => isGone(scenario.queued),
    },
    pinned: {
      arrange: async () => [scenario.pinned],
      policy: () => ({ keep: 53, pins: [{ composeHash: scenario.pinned, source: "--pin" }] }),
      harm: () => isGone(scenario.pinned),
    },
    newest: {
      arrange: async () => scenario.fillers.slice(-3),
      policy: () => ({ keep: 3 }),
      harm: () => isGone(...scenario.fillers.slice(-3)),
    },
    young: {
      async arrange() {
        await world.advance(30 * 86_400);
        const [, second = scenario.pinned] = scenario.fillers;
        await allow(world, second);
        return [second];
      },
      policy: () => ({ olderThanSeconds: 86_400 }),
      harm: () => isGone(scenario.fillers[1] ?? scenario.pinned),
    },
  };

  it("each rule has a case", () => {
    expect(Object.keys(cases)).to.have.members(keepRules.map(({ name }) => name));
  });

  for (const [name, { arrange, policy, harm }] of Object.entries(cases)) {
    it(`"${name}", a needed hash would be removed; the execution stops it, and this is the prevented damage`, async () => {
      const protectedByRule = await arrange();
      const use = await readAllowlistUseFrom(sourceOf(world));
      const wanted = keepRulesWith({ ...policy?.(), mayEmptyList: true });
      const whole = removalsOf(planPrune(use, wanted));
      const broken = planPrune(
        use,
        wanted,
        keepRules.filter((rule) => rule.name !== name),
      );
      expect(removalsOf(broken).filter((hash) => !whole.includes(hash))).to.have.members([...protectedByRule]);

      const before = await world.chain.client.getTransactionCount({ address: world.owner.address });
      const source = sourceOf(world);
      const ledger = memoryLedger();
      const error = await catchError(
        applyPrunePlan({ plan: broken, source, account: world.owner, ledger, mode: "none" }),
        PruneOvertakenError,
      );
      const objections = error.context.objections as { composeHash: ComposeHash }[];
      expect(objections.map(({ composeHash }) => composeHash)).to.have.members([...protectedByRule]);
      expect(await world.chain.client.getTransactionCount({ address: world.owner.address })).to.equal(before);

      const calls = protectedByRule.map((composeHash) => removeComposeHashCall({ appId: world.appId, composeHash }));
      await sendBatch(world.ownerClient, { calls, mode: "none" });
      await harm();
    });
  }
});
