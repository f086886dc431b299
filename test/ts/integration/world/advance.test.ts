import { expect } from "chai";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { confirmCvmPatch, patchCvm } from "../../../../src/cloud/patch-cvm.ts";
import { HashExpiredError, InvalidArgumentError } from "../../../../src/errors/index.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const admin = { key: "key of the admin endpoints" };
const cloud = { rolloverMs: 0, admin };
const day = 86_400;

/** Seconds that chain and cloud are ahead of this machine. */
async function timesAhead(world: World): Promise<{ chain: number; cloud: number }> {
  const { timestamp } = await world.chain.client.getBlock();
  const answer = await fetch(`${world.cloud.url}/admin/clock`, { headers: { "x-admin-key": admin.key } });
  const { now } = (await answer.json()) as { now: string };
  const here = Date.now() / 1000;
  return { chain: Number(timestamp) - here, cloud: Date.parse(now) / 1000 - here };
}

describe("the time of a world", () => {
  const directory = useTemporaryDirectory();
  /** Blocks in one second are put a second apart each. */
  const margin = 30;

  it("moves chain and cloud together: block time, and the expiry of a proposed update", async () => {
    const world = await startWorld({ cloud });
    try {
      const cvm = "onchain-app";
      const proposed = await patchCvm(world.cloudClient, { cvm, dockerCompose: "services:\n  web:\n    image: a:2\n" });
      if (proposed.kind !== "registrationRequired") throw new Error("expected a 465");
      const { appId, composeHash } = proposed;
      const transactionHash = await addComposeHash(world.ownerClient, { appId, composeHash });

      await world.advance(15 * day);

      const { chain, cloud } = await timesAhead(world);
      expect(chain).to.be.closeTo(15 * day, margin);
      expect(cloud).to.be.closeTo(15 * day, 1);
      await catchError(confirmCvmPatch(world.cloudClient, { cvm, composeHash, transactionHash }), HashExpiredError);
    } finally {
      await world.close();
    }
  });

  it("also moves the chain when the admin endpoint moves the cloud, and calls onAdvance", async () => {
    const heard: number[] = [];
    const world = await startWorld({ cvms: false, cloud: { ...cloud, onAdvance: (ms) => void heard.push(ms) } });
    try {
      await fetch(`${world.cloud.url}/admin/clock/advance`, {
        method: "POST",
        headers: { "x-admin-key": admin.key, "content-type": "application/json" },
        body: JSON.stringify({ ms: day * 1000 }),
      });
      expect((await timesAhead(world)).chain).to.be.closeTo(day, margin);
      await world.advance(0.5);
      expect(heard).to.deep.equal([day * 1000, 500]);
      await catchError(world.advance(-1), InvalidArgumentError);
    } finally {
      await world.close();
    }
  });

  it("stays ahead after a restart", async () => {
    const stateFile = `${directory.path}/world.db`;
    const first = await startWorld({ cloud, stateFile });
    await first.advance(30 * day);
    await first.close();

    const second = await startWorld({ cloud, stateFile });
    try {
      await second.chain.client.mine({ blocks: 1 });
      const { chain, cloud } = await timesAhead(second);
      expect(chain).to.be.closeTo(30 * day, margin);
      expect(cloud).to.be.closeTo(30 * day, 1);
    } finally {
      await second.close();
    }
  });
});
