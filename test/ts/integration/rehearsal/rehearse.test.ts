import { PassThrough } from "node:stream";
import { expect } from "chai";
import type { Address } from "viem";
import { readOwner } from "../../../../src/chain/read-owner.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import {
  acceptOwnershipCall,
  addComposeHashCall,
  type OwnerCall,
  removeComposeHashCall,
} from "../../../../src/core/owner-calls.ts";
import { createOutput } from "../../../../src/output/output.ts";
import { formatRehearsalMarkdown, showRehearsal } from "../../../../src/output/rehearsal.ts";
import { ownerKindOf } from "../../../../src/plans/change-plan.ts";
import { createChangePlan } from "../../../../src/plans/create-change-plan.ts";
import { type RehearsalStage, rehearse, rehearsePhase } from "../../../../src/rehearsal/rehearse.ts";
import type { RehearsalReport } from "../../../../src/rehearsal/report.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";

const newHash = parseComposeHash("0a".repeat(32));

describe("a rehearsal of a plan", () => {
  let world: World;
  let appId: AppId;
  let clean: string;

  before(async () => {
    world = await startWorld({ safe: { threshold: 2, owners: 3 } });
    const { onChain } = world.cvms;
    if (onChain?.appId === undefined) throw new Error("The world has a CVM with a contract.");
    appId = onChain.appId;
    clean = await world.snapshot();
  });
  afterEach(() => world.restore(clean));
  after(() => world.close());

  async function stageOf(): Promise<RehearsalStage> {
    const { chain, cloud, cloudClient } = world;
    const { number, hash, timestamp } = await chain.client.getBlock();
    return {
      ...{ client: chain.client, cloud: cloudClient, whenIdle: () => cloud.whenIdle() },
      advance: (seconds) => world.advance(seconds),
      fees: { baseFeePerGas: 5_000_000n, priorityFeePerGas: 1_000_000n },
      chain: {
        ...{ chainId: chain.id, network: "base", blockNumber: number, blockHash: hash, blockTime: timestamp },
        ageSeconds: 4n,
      },
    };
  }

  async function rehearseCalls(calls: readonly OwnerCall[], owner: Address = safe()): Promise<RehearsalReport> {
    const stage = await stageOf();
    const described = await readOwner(stage.client, { address: owner });
    const { blockNumber: number, blockHash: hash, blockTime: timestamp } = stage.chain;
    const plan = createChangePlan({
      ...{ task: "hash add", createdBy: "test", createdAt: "2026-12-01T00:00:00.000Z", chainId: 8453, appId },
      ...{ kms: undefined, pinned: { number, hash, timestamp } },
      owner: { address: owner, kind: ownerKindOf(described.kind) ?? "key" },
      contracts: [{ contract: "app", address: appId, generation: "first" }],
      changes: calls.map((call) => ({ call, reason: { rule: "requested" } })),
      ...{ accepted: [], price: null },
    });
    return rehearse(stage, {
      ...{ subject: "plan", appId, kms: world.contracts.kms, owner: described },
      listCvms: () => getAppCvms(world.cloudClient, { appId }),
      work: async () => ({ plan, calls, refusals: [], phases: [await rehearsePhase(stage, { plan })] }),
    });
  }

  const safe = () => world.safe?.address ?? "0x";

  async function runningHash() {
    const [cvm] = await getAppCvms(world.cloudClient, { appId });
    if (cvm?.composeHash === undefined) throw new Error("The CVM has a hash.");
    return cvm.composeHash;
  }

  it("is a go if the change leaves every CVM able to boot, and the restarted CVM runs", async () => {
    const report = await rehearseCalls([addComposeHashCall({ appId, composeHash: newHash })]);
    expect(report.reasons).to.deep.equal([]);
    expect(report.verdict).to.equal("go");
    expect(report.reboots).to.have.length(1);
    expect(report.reboots[0]).to.include({ isRunning: true, composeHash: await runningHash() });
    const rows = report.boots.map(({ composeHash, before, after }) => [
      composeHash,
      before.kms?.isAllowed,
      after.kms?.isAllowed,
    ]);
    expect(rows).to.deep.equal([
      [await runningHash(), true, true],
      [newHash, false, true],
    ]);
  });

  it("is a no-go if a CVM could not boot again, by the contracts and by its restart", async () => {
    const composeHash = await runningHash();
    const report = await rehearseCalls([removeComposeHashCall({ appId, composeHash })]);
    expect(report.verdict).to.equal("no-go");
    expect(report.reasons.map(({ kind }) => kind)).to.deep.equal(["boot-lost", "reboot-failed"]);
    expect(report.reasons[0]?.message).to.include(composeHash).and.to.include("onchain-app");
    expect(report.boots[0]?.after.app.isAllowed).to.equal(false);
  });

  it("is a no-go if a step reverts, and the rest is judged as it was before", async () => {
    const report = await rehearseCalls([acceptOwnershipCall({ appId })], world.owner.address);
    expect(report.reasons.map(({ kind }) => kind)).to.deep.equal(["failed"]);
    expect(report.price).to.equal(undefined);
    expect(report.reboots).to.deep.equal([]);
  });

  it("is told in 80 columns, and in Markdown that nothing of others can change", async () => {
    const report = await rehearseCalls([
      addComposeHashCall({ appId, composeHash: newHash }),
      removeComposeHashCall({ appId, composeHash: await runningHash() }),
    ]);
    const stream = new PassThrough({ encoding: "utf8" });
    const shown = { report, next: ["npx hardhat dstack plan apply plan.json --network base"] };
    showRehearsal(createOutput(stream), shown);
    const text = String(stream.read());
    expect(text).to.include("NO-GO").and.to.include("the Safe's transaction 1").and.not.to.include("plan apply");
    expect(text).to.include(newHash);
    const long = text.split("\n").filter((line) => line.length > 80 && !/\S{42}/.test(line));
    expect(long).to.deep.equal([]);
    const hostile = { ...report, warnings: ["<script>\n# GO\n[x](http://x)"] };
    const markdown = formatRehearsalMarkdown({ ...shown, report: hostile });
    expect(markdown)
      .to.match(/^# Rehearsal of dstack plan\n/)
      .and.to.include("| CVM | before | after |");
    expect(markdown).to.include(String.raw`\<script\> \# GO \[x\](http://x)`);
  });
});
