import { expect } from "chai";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { updateCvm } from "../../../../src/update/update-cvm.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { rejection } from "../../../support/rejection.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const cvm = "onchain-app";

async function update(world: World, tag: string) {
  const dockerCompose = `services:\n  web:\n    image: nginx:${tag}\n`;
  const { cloudClient: cloud, ownerClient: chain } = world;
  return updateCvm({ cloud, chain, ledger: memoryLedger(), cvm, dockerCompose, pollChainMs: 10, pollCloudMs: 10 });
}

/** The state that a snapshot must restore, of chain and cloud. */
async function stateOf(world: World) {
  const { status, composeHash, appId } = await getCvm(world.cloudClient, { cvm });
  if (appId === undefined || composeHash === undefined) throw new Error("an on-chain CVM has both");
  const { composeHashAllowed } = await readAllowlist(world.chain.client, { appId, composeHash });
  const block = await world.chain.client.getBlock();
  return { status, composeHash, composeHashAllowed, block: block.hash };
}

describe("a snapshot of a world", () => {
  let world: World;
  const admin = { key: "key of the admin endpoints" };
  beforeEach(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0, admin } });
  });
  afterEach(() => world.close());

  it("restores chain and cloud together, repeatedly", async () => {
    const name = await world.snapshot();
    const before = await stateOf(world);
    for (const tag of ["1.29", "1.30"]) {
      const { outcome } = await update(world, tag);
      expect(outcome).to.equal("updated");
      expect(await stateOf(world)).to.not.deep.equal(before);
      await world.restore(name);
      expect(await stateOf(world)).to.deep.equal(before);
    }
    expect((await update(world, "1.31")).outcome).to.equal("updated");
  });

  it("is refused without a change of the cloud when the chain was reverted to an earlier block", async () => {
    const { client } = world.chain;
    const id = await client.snapshot();
    const name = await world.snapshot();
    await client.revert({ id });
    await world.advance(3600);
    expect(await rejection(world.restore(name))).to.be.instanceOf(InvalidArgumentError);
    const answer = await fetch(`${world.cloud.url}/admin/clock`, { headers: { "x-admin-key": admin.key } });
    const { now } = (await answer.json()) as { now: string };
    expect(Date.parse(now) - Date.now()).to.be.above(3_000_000);
  });

  it("turns both clocks back", async () => {
    const now = async () => {
      await world.chain.client.mine({ blocks: 1 });
      const answer = await fetch(`${world.cloud.url}/admin/clock`, { headers: { "x-admin-key": admin.key } });
      const { now } = (await answer.json()) as { now: string };
      return { chain: Number((await world.chain.client.getBlock()).timestamp), cloud: Date.parse(now) / 1000 };
    };
    const name = await world.snapshot();
    const before = await now();
    await world.advance(86_400);
    await world.restore(name);
    const after = await now();
    expect(after.chain - before.chain).to.be.within(0, 30);
    expect(after.cloud - before.cloud).to.be.within(-1, 30);
  });

  it("is also restored by the admin endpoint", async () => {
    const post = async (path: string) => {
      const headers = { "x-admin-key": admin.key };
      return (await (await fetch(`${world.cloud.url}/admin${path}`, { method: "POST", headers })).json()) as {
        id: string;
      };
    };
    const { id } = await post("/snapshots");
    const before = await stateOf(world);
    await update(world, "1.29");
    await post(`/snapshots/${id}/restore`);
    expect(await stateOf(world)).to.deep.equal(before);
  });

  it("is invalid after a restore of an earlier one, and changes nothing then", async () => {
    const first = await world.snapshot();
    await update(world, "1.29");
    const second = await world.snapshot();
    await world.restore(first);
    const before = await stateOf(world);

    await catchError(world.restore(second), InvalidArgumentError);
    expect(await rejection(world.restore("snapshot_99"))).to.include({ status: 404 });

    expect(await stateOf(world)).to.deep.equal(before);
    await world.restore(first);
    expect((await update(world, "1.30")).outcome).to.equal("updated");
  });
});
