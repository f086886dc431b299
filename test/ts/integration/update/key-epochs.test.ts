import { expect } from "chai";
import { createClient, http } from "viem";
import { base } from "viem/chains";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { HashNotAllowedError, KeyEpochsError } from "../../../../src/errors/index.ts";
import { readHistory } from "../../../../src/history/read-history.ts";
import { applyPrunePlan } from "../../../../src/prune/apply-prune-plan.ts";
import { planPrune, removalsOf } from "../../../../src/prune/plan-prune.ts";
import { type PruneSource, readAllowlistUseFrom } from "../../../../src/prune/read-allowlist-use.ts";
import type { UpdateEvent } from "../../../../src/update/events.ts";
import { epochInterfaces, oddities, upgradeTo } from "../../../support/chain/upgrade-to.ts";
import { registerHash, request, type TestCvm } from "../../../support/mock-cloud/cloud-world.ts";
import { rejection } from "../../../support/rejection.ts";
import {
  countTransactions,
  createCvm,
  readAppHistory,
  startUpdateWorld,
  type UpdateWorld,
  update,
} from "../../../support/update/update-world.ts";

const dockerCompose = "services:\n  app:\n    image: nginx:2\n";
const caveat = "app epoch 0 only, another epoch may decide";

describe("the library on contracts with key epochs", () => {
  let world: UpdateWorld;
  let cvm: TestCvm;
  before(async () => {
    world = await startUpdateWorld();
  });
  after(() => world?.close());
  beforeEach(async () => {
    cvm = await createCvm(world);
  });

  const ownerClient = () =>
    createClient({ account: world.owner, chain: base, transport: http(world.rpc.url), pollingInterval: 10 });
  const upgradeApp = (contract: string, args: readonly unknown[]) =>
    upgradeTo(ownerClient(), { proxy: cvm.appId, contract, args });
  const toEpochApp = () => upgradeApp("EpochApp", [epochInterfaces["0.6.5"]]);

  describe("updateCvm", () => {
    for (const [what, upgrade] of [
      ["an app with key epochs", toEpochApp],
      ["an app of no known generation", () => upgradeApp("OddInterfaceApp", [oddities.saysYesToAll])],
    ] as const) {
      it(`pays nothing for ${what}`, async () => {
        await upgrade();
        const paid = await countTransactions(world);
        const error = await rejection(update(world, cvm, { ledger: memoryLedger(), dockerCompose }));
        expect(error).to.be.instanceOf(KeyEpochsError);
        expect(await countTransactions(world)).to.equal(paid);
      });
    }

    it("continues when that is accepted, reports the caveat, and does not wait for the cloud's verdict", async () => {
      await toEpochApp();
      const events: UpdateEvent[] = [];
      const started = performance.now();
      const error = await rejection(
        update(world, cvm, {
          ledger: memoryLedger(),
          dockerCompose,
          acceptKeyEpochs: true,
          timeouts: { confirmMs: 60_000 },
          onStep: (event) => events.push(event),
        }),
      );
      expect(error).to.be.instanceOf(HashNotAllowedError);
      expect(error).to.have.property("message").that.includes("0.6.5 or 0.6.6");
      expect(performance.now() - started).to.be.lessThan(30_000);
      expect((await readAppHistory(world, cvm.appId)).hashesAdded).to.have.length(2);
      const read = events.find((event) => event.kind === "finished" && event.step === "readChain");
      expect(read).to.deep.nested.include({ "result.caveat": caveat });
    });

    it("also stops a rerun when the contract was upgraded after the payment of an interrupted run", async () => {
      const ledger = memoryLedger();
      const signal = new AbortController();
      const onStep = (event: UpdateEvent) => {
        if (event.kind === "finished" && event.step === "pay") signal.abort();
      };
      await rejection(update(world, cvm, { ledger, dockerCompose, onStep, signal: signal.signal }));
      await toEpochApp();
      expect(await rejection(update(world, cvm, { ledger, dockerCompose }))).to.be.instanceOf(KeyEpochsError);
    });
  });

  describe("pruning", () => {
    const sourceOf = (changes: Partial<PruneSource> = {}): PruneSource => {
      const chain = ownerClient();
      return { chain, cloud: undefined, readHistory: () => readHistory(chain, { appId: cvm.appId }), ...changes };
    };
    const policy = {
      keep: 0,
      olderThanSeconds: undefined,
      pins: [],
      queued: [],
      acceptedUnknowns: ["running-hashes", "prepare-tokens", "other-machines"],
      mayEmptyList: true,
    } as const;

    it("makes no plan of an app's list for epoch 0, unless that is accepted", async () => {
      await toEpochApp();
      expect(await rejection(readAllowlistUseFrom(sourceOf()))).to.be.instanceOf(KeyEpochsError);
      const facts = await readAllowlistUseFrom(sourceOf({ acceptKeyEpochs: true }));
      expect(facts.allowed.map(({ composeHash }) => composeHash)).to.deep.equal([cvm.composeHash]);
    });

    it("carries out no plan from before the upgrade, unless that is accepted", async () => {
      const plan = planPrune(await readAllowlistUseFrom(sourceOf()), policy);
      expect(removalsOf(plan)).to.deep.equal([cvm.composeHash]);
      await toEpochApp();
      const apply = (source: PruneSource) =>
        applyPrunePlan({ plan, source, account: world.owner, mode: "none", ledger: memoryLedger() });
      const isAllowed = async () => (await readAllowlist(ownerClient(), cvm)).composeHashAllowed;
      expect(await rejection(apply(sourceOf()))).to.be.instanceOf(KeyEpochsError);
      expect(await isAllowed()).to.equal(true);
      expect((await apply(sourceOf({ acceptKeyEpochs: true }))).removed).to.deep.equal([cvm.composeHash]);
      expect(await isAllowed()).to.equal(false);
    });

    it("also checks the given KMS", async () => {
      const { kms } = world.dstack;
      await readAllowlistUseFrom(sourceOf({ kms }));
      const { address: epochs } = await world.connection.viem.deployContract("EpochKms", [epochInterfaces["0.6.4"]]);
      expect(await rejection(readAllowlistUseFrom(sourceOf({ kms: epochs })))).to.be.instanceOf(KeyEpochsError);
      await readAllowlistUseFrom(sourceOf({ kms: epochs, acceptKeyEpochs: true }));
    });
  });

  describe("the mock cloud", () => {
    it("refuses a registration at an app with key epochs with 468, and says why", async () => {
      const proposed = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, {
        body: { docker_compose_file: dockerCompose },
      });
      expect(proposed.status, proposed.text).to.equal(465);
      const details = proposed.body.details as { field: string; value: string }[];
      const compose_hash = String(details.find(({ field }) => field === "compose_hash")?.value);
      const transaction_hash = await registerHash(world, cvm.appId, compose_hash);
      await toEpochApp();
      const confirmation = { compose_hash, transaction_hash, docker_compose_file: dockerCompose };
      const refused = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body: confirmation });
      expect([refused.status, refused.text.includes("0.6.5 or 0.6.6")], refused.text).to.deep.equal([468, true]);
    });

    it("has no verdict on what such an app allows", async () => {
      await toEpochApp();
      const answer = await request(world.cloud, "POST", `/cvms/${cvm.id}/is-allowed`, { body: {} });
      expect([answer.status, answer.text.includes("no verdict")], answer.text).to.deep.equal([468, true]);
    });

    it("boots no CVM of such an app, and says why", async () => {
      await toEpochApp();
      const restarted = await request(world.cloud, "POST", `/cvms/${cvm.id}/restart`, { body: {} });
      expect(restarted.status, restarted.text).to.be.lessThan(300);
      await world.cloud.whenIdle();
      const { body } = await request(world.cloud, "GET", `/cvms/${cvm.id}/state`);
      expect(String(body.boot_error)).to.include("no verdict").and.to.include("0.6.5 or 0.6.6");
    });

    it("still verifies registrations and boots of the first generation", async () => {
      const result = await update(world, cvm, { ledger: memoryLedger(), dockerCompose });
      expect(result.outcome).to.equal("updated");
    });
  });
});
