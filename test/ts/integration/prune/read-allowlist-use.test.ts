import { expect } from "chai";
import { createClient, http } from "viem";
import { base } from "viem/chains";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { addDevice } from "../../../../src/chain/add-device.ts";
import { setAllowAnyDevice } from "../../../../src/chain/set-allow-any-device.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { type CloudClient, createCloudClient } from "../../../../src/cloud/create-client.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import { parseDeviceId } from "../../../../src/core/ids.ts";
import { removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { WrongChainError } from "../../../../src/errors/index.ts";
import { readHistory } from "../../../../src/history/read-history.ts";
import type { AllowlistUse, UnknownKind } from "../../../../src/prune/allowlist-use.ts";
import { readAllowlistUseFrom } from "../../../../src/prune/read-allowlist-use.ts";
import {
  addReplica,
  allow,
  allowFillers,
  commitUpdate,
  control,
  fillerHash,
  giveToSafe,
  type PruneWorld,
  prepareInstance,
  prepareUpdate,
  sourceOf,
  startPruneWorld,
} from "../../../support/prune/prune-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { rewriteRpc } from "../../../support/world/rewriting-rpc.ts";

/** The world's cloud, for a client that gets other answers to some paths. */
function rewriting(world: PruneWorld, route: RegExp, rewrite: (text: string) => string, status = 200): CloudClient {
  return createCloudClient({
    apiKey: world.apiKey,
    baseUrl: world.cloud.baseUrl,
    retry: { attempts: 1 },
    fetch: async (input, init) => {
      const answer = await fetch(input, init);
      if (!route.test(new URL(String(input)).pathname)) return answer;
      return new Response(rewrite(await answer.text()), { status, headers: { "content-type": "application/json" } });
    },
  });
}

/** The world's cloud, which fails for some paths. */
function refusing(world: PruneWorld, route: string): CloudClient {
  return rewriting(world, new RegExp(route), () => '{"detail":"Internal error"}', 500);
}

describe("the facts of a prune plan", () => {
  let world: PruneWorld;
  let fresh: string;
  before(async () => {
    world = await startPruneWorld({ cloud: { rolloverMs: 20 } });
    await allowFillers(world, 3);
    fresh = await world.snapshot();
  });
  beforeEach(async () => {
    await world.restore(fresh);
    fresh = await world.snapshot();
  });
  afterEach(() => {
    world.cloud.clearFaults();
  });
  after(() => world.close());

  /** Operations that start from now on do not end during the read. */
  const hold = () => world.cloud.setFault({ kind: "slow-rollover", ms: 3_600_000 });
  async function settle(): Promise<void> {
    await world.advance(3_600);
    await world.cloud.whenIdle();
  }

  const read = () => readAllowlistUseFrom(sourceOf(world));
  const kinds = ({ unknowns }: AllowlistUse): UnknownKind[] => unknowns.map(({ kind }) => kind);

  it("have each allowed hash with the time, block and actor of its last addition", async () => {
    const before = await read();
    expect(before.allowed).to.have.lengthOf(4);
    expect(kinds(before)).to.deep.equal([]);
    expect(before).to.include({ chainId: 8453, appId: world.appId, owner: world.owner.address });
    const oldest = fillerHash("old version 0");
    await allow(world, oldest);
    const { allowed, pinned } = await read();
    const added = allowed.find(({ composeHash }) => composeHash === oldest)?.added;
    const block = await world.chain.client.getBlock({ blockNumber: pinned.number });
    expect(added).to.include({ blockNumber: pinned.number, timestamp: block.timestamp, by: world.owner.address });
    expect(block.transactions).to.deep.equal([added?.transactionHash]);
    expect(pinned).to.deep.equal({ number: block.number, hash: block.hash, timestamp: block.timestamp });
  });

  it("are those of the history's block, without later changes", async () => {
    const history = await readHistory(world.ownerClient, { appId: world.appId });
    const gone = fillerHash("old version 1");
    const calls = [removeComposeHashCall({ appId: world.appId, composeHash: gone })];
    await sendBatch(world.ownerClient, { calls, mode: "none" });
    await giveToSafe(world);
    const { allowed, owner, pinned } = await readAllowlistUseFrom(
      sourceOf(world, { readHistory: async () => history }),
    );
    expect(pinned).to.deep.equal(history.pinned);
    expect(owner).to.equal(world.owner.address);
    expect(allowed.map(({ composeHash }) => composeHash)).to.include(gone);
    const now = await read();
    expect(now.owner).to.not.equal(world.owner.address);
    expect(now.allowed.map(({ composeHash }) => composeHash)).to.not.include(gone);
  });

  it("have the hash of every CVM and replica, running or stopped", async () => {
    const replica = await addReplica(world, "replica");
    const [, second] = await getAppCvms(world.cloudClient, { appId: world.appId });
    await control(world, second?.id ?? "", "stop");
    const { running, movingTo, prepared } = await read();
    expect(running.map(({ composeHash, cvm }) => [composeHash, cvm.status])).to.deep.equal([
      [world.firstHash, "running"],
      [replica, "stopped"],
    ]);
    expect([...movingTo, ...prepared]).to.deep.equal([]);
  });

  it("have the new and the old hash of a running update", async () => {
    const update = await prepareUpdate(world, "next");
    await allow(world, update.composeHash);
    hold();
    await commitUpdate(world, update);
    const facts = await read();
    expect(facts.movingTo.map(({ composeHash }) => composeHash)).to.deep.equal([update.composeHash]);
    expect(facts.running.map(({ composeHash }) => composeHash)).to.include(world.firstHash);
    expect(kinds(facts)).to.deep.equal([]);
    await settle();
    const after = await read();
    expect(after.movingTo).to.deep.equal([]);
    expect(after.running.map(({ composeHash }) => composeHash)).to.deep.equal([update.composeHash]);
  });

  it("count a restart as no update", async () => {
    hold();
    const path = `/cvms/${world.cvm}/restart`;
    await world.cloudClient.request({ method: "POST", path, json: {} });
    const facts = await read();
    expect(facts.running.map(({ cvm }) => cvm.status)).to.include("restarting");
    expect(kinds(facts)).to.deep.equal([]);
    await settle();
  });

  it("have the hashes of prepared updates and instances, until their tokens expire", async () => {
    const update = await prepareUpdate(world, "prepared");
    const instance = await prepareInstance(world, "another");
    await allow(world, update.composeHash);
    await allow(world, instance.composeHash);
    const { prepared } = await read();
    expect(prepared.map(({ composeHash }) => composeHash)).to.have.members([update.composeHash, instance.composeHash]);
    await world.advance(15 * 86_400);
    expect((await read()).prepared).to.deep.equal([]);
  });

  it("do not lose a hash that is committed while they are read", async () => {
    const update = await prepareUpdate(world, "committed meanwhile");
    await allow(world, update.composeHash);
    let isCommitted: Promise<void> | undefined;
    const facts = await readAllowlistUseFrom(
      sourceOf(world, {
        onProgress: (done, total) => {
          if (done === total) isCommitted ??= commitUpdate(world, update);
        },
      }),
    );
    await isCommitted;
    const uses = [...facts.running, ...facts.movingTo, ...facts.prepared].map(({ composeHash }) => composeHash);
    expect(uses).to.include(update.composeHash);
    await world.cloud.whenIdle();
  });

  it("do not lose a hash that is committed before the cloud is asked what is prepared", async () => {
    const update = await prepareUpdate(world, "committed just before");
    await allow(world, update.composeHash);
    const { cloudClient } = world;
    hold();
    let isCommitted: Promise<void> | undefined;
    const committing: CloudClient = {
      ...cloudClient,
      request: async (request) => {
        if (request.path.includes("pending-updates")) {
          isCommitted ??= commitUpdate(world, update);
          await isCommitted;
        }
        return cloudClient.request(request);
      },
    };
    const { movingTo, prepared } = await readAllowlistUseFrom(sourceOf(world, { cloud: committing }));
    expect(isCommitted).to.not.equal(undefined);
    expect([...movingTo, ...prepared].map(({ composeHash }) => composeHash)).to.deep.equal([update.composeHash]);
    await settle();
  });

  it("include prepared updates of every CVM", async () => {
    await addReplica(world, "replica");
    const [, second] = await getAppCvms(world.cloudClient, { appId: world.appId });
    const update = await prepareUpdate(world, "of the second", second?.id);
    await allow(world, update.composeHash);
    const { prepared } = await read();
    expect(prepared.map(({ composeHash, cvm }) => [composeHash, cvm.id])).to.deep.equal([
      [update.composeHash, second?.id],
    ]);
  });

  it("keep replicas with one hash apart", async () => {
    const json = { compose_hash: world.firstHash, node_id: 1 };
    await world.cloudClient.request({ method: "POST", path: `/apps/${world.appId}/instances`, json });
    await world.cloud.whenIdle();
    const { running } = await read();
    expect(running.map(({ composeHash }) => composeHash)).to.deep.equal([world.firstHash, world.firstHash]);
    expect(new Set(running.map(({ cvm }) => cvm.id)).size).to.equal(2);
  });

  it("take the time of additions from their blocks when logs have none, and use the last one", async () => {
    const again = fillerHash("old version 0");
    await world.advance(1_000);
    await allow(world, again);
    const history = await readHistory(world.ownerClient, { appId: world.appId });
    const changes = history.changes.map((change) => ({ ...change, timestamp: undefined }));
    const undated = await readAllowlistUseFrom(sourceOf(world, { readHistory: async () => ({ ...history, changes }) }));
    expect(undated.allowed).to.deep.equal((await read()).allowed);
    const times = undated.allowed.map(({ added }) => added?.timestamp);
    expect(new Set(times).size).to.equal(times.length);
    expect(times.every((time) => time !== undefined && time > 0n)).to.equal(true);
  });

  describe("count earlier answers of a cloud that stopped answering", () => {
    /** The list of CVMs, as it is for the first request and for all that follow. */
    function listing(first: (text: string) => string, then: (text: string) => string): CloudClient {
      let requests = 0;
      return rewriting(world, /\/cvms$/, (text) => (requests++ === 0 ? first(text) : then(text)));
    }
    const same = (text: string) => text;

    it("when a CVM is no longer in the list", async () => {
      const facts = await readAllowlistUseFrom(sourceOf(world, { cloud: listing(same, () => "[]") }));
      expect(facts.running.map(({ composeHash }) => composeHash)).to.deep.equal([world.firstHash]);
    });

    it("when a CVM has another hash in the second answer", async () => {
      const other = fillerHash("old version 1");
      const moved = (text: string) => text.replaceAll(world.firstHash.slice(2), other.slice(2));
      const facts = await readAllowlistUseFrom(sourceOf(world, { cloud: listing(same, moved) }));
      expect(facts.running.map(({ composeHash }) => composeHash)).to.have.members([world.firstHash, other]);
    });

    it("when a new CVM is listed, whose prepared updates were not read", async () => {
      const facts = await readAllowlistUseFrom(sourceOf(world, { cloud: listing(() => "[]", same) }));
      expect(facts.running.map(({ composeHash }) => composeHash)).to.deep.equal([world.firstHash]);
      expect(kinds(facts)).to.deep.equal(["prepare-tokens"]);
    });

    it("when the list cannot be read a second time", async () => {
      const update = await prepareUpdate(world, "prepared");
      await allow(world, update.composeHash);
      const facts = await readAllowlistUseFrom(sourceOf(world, { cloud: listing(same, () => "{") }));
      expect(kinds(facts)).to.deep.equal(["running-hashes", "prepare-tokens"]);
      expect(facts.running.map(({ composeHash }) => composeHash)).to.deep.equal([world.firstHash]);
      expect(facts.prepared.map(({ composeHash }) => composeHash)).to.deep.equal([update.composeHash]);
    });

    it("when it answers for some hashes only", async () => {
      const update = await prepareUpdate(world, "prepared");
      await allow(world, update.composeHash);
      const [last] = await allowFillers(world, 1, "last");
      const cloud = refusing(world, `/pending-updates/.*/${last?.slice(2)}/`);
      const facts = await readAllowlistUseFrom(sourceOf(world, { cloud }));
      expect(kinds(facts)).to.deep.equal(["prepare-tokens"]);
      expect(facts.prepared.map(({ composeHash }) => composeHash)).to.deep.equal([update.composeHash]);
    });
  });

  it("are refused for an app on another chain", async () => {
    const elsewhere = rewriting(world, /\/cvms$/, (text) => text.replaceAll('"chain_id":8453', '"chain_id":1'));
    await catchError(readAllowlistUseFrom(sourceOf(world, { cloud: elsewhere })), WrongChainError);
    await addReplica(world, "replica");
    const second = rewriting(world, /\/cvms$/, (text) =>
      text.replace('"chain_id":8453', '"chain_id":null').replace('"chain_id":8453', '"chain_id":1'),
    );
    await catchError(readAllowlistUseFrom(sourceOf(world, { cloud: second })), WrongChainError);
    const unsaid = rewriting(world, /\/cvms$/, (text) => text.replaceAll('"chain_id":8453', '"chain_id":null'));
    expect(kinds(await readAllowlistUseFrom(sourceOf(world, { cloud: unsaid })))).to.deep.equal([]);
  });

  it("end with the reason of the signal", async () => {
    const stop = new AbortController();
    const reason = new Error("Ctrl-C");
    const onProgress = () => stop.abort(reason);
    expect(
      await catchError(readAllowlistUseFrom(sourceOf(world, { signal: stop.signal, onProgress })), Error),
    ).to.equal(reason);
  });

  describe("list what is unknown", () => {
    it("without an API key", async () => {
      const facts = await readAllowlistUseFrom(sourceOf(world, { cloud: undefined }));
      expect(kinds(facts)).to.deep.equal(["running-hashes", "prepare-tokens"]);
      expect(facts.allowed, "what the chain tells is known all the same").to.have.lengthOf(4);
    });

    it("with a wrong key, a dead address, or a workspace that does not have the app", async () => {
      const stranger = createCloudClient({ apiKey: "strangers", baseUrl: world.cloud.baseUrl });
      const nowhere = createCloudClient({ apiKey: "any", baseUrl: "http://127.0.0.1:9", retry: { attempts: 1 } });
      for (const cloud of [stranger, nowhere]) {
        const facts = await readAllowlistUseFrom(sourceOf(world, { cloud }));
        expect(kinds(facts)).to.deep.equal(["running-hashes", "prepare-tokens"]);
        expect(facts.unknowns[0]?.problem).to.not.include("workspace");
      }
      await fetch(`${world.cloud.baseUrl}/cvms/${world.cvm}`, {
        method: "DELETE",
        headers: { "x-api-key": world.apiKey },
      });
      await world.cloud.whenIdle();
      const facts = await read();
      expect(kinds(facts)).to.deep.equal(["running-hashes", "prepare-tokens"]);
      expect(facts.unknowns[0]?.problem).to.include("workspace");
    });

    it("while the cloud answers some questions only", async () => {
      const fails = async (route: string, kind: UnknownKind) => {
        const client = refusing(world, route);
        const facts = await readAllowlistUseFrom(sourceOf(world, { cloud: client }));
        expect(kinds(facts), route).to.deep.equal([kind]);
        expect(facts.running.map(({ composeHash }) => composeHash)).to.deep.equal([world.firstHash]);
      };
      await fails("/pending-updates/", "prepare-tokens");
      await fails("/device-allowlist", "other-machines");
      await fails(`/apps/${world.appId.slice(2)}$`, "running-hashes");
    });

    it("for a CVM that is moved to an unknown hash", async () => {
      hold();
      await world.cloudClient.request({ method: "POST", path: `/cvms/${world.cvm}/restart`, json: {} });
      const facts = await readAllowlistUseFrom(sourceOf(world, { cloud: refusing(world, "/status/batch") }));
      expect(kinds(facts)).to.deep.equal(["running-hashes"]);
      await settle();
    });

    it("for CVMs that are counted and not listed, or that report no hash", async () => {
      const rewritten = (route: RegExp, rewrite: (text: string) => string) =>
        readAllowlistUseFrom(sourceOf(world, { cloud: rewriting(world, route, rewrite) }));
      const hidden = await rewritten(/\/cvms$/, () => "[]");
      expect(kinds(hidden)).to.deep.equal(["running-hashes"]);
      const hashless = await rewritten(/\/cvms$/, (text) =>
        text.replace(/"compose_hash":"[0-9a-f]+"/, '"compose_hash":null'),
      );
      expect(kinds(hashless)).to.deep.equal(["running-hashes"]);
      const stopped = await rewritten(/\/cvms$/, (text) =>
        text
          .replace(/"compose_hash":"[0-9a-f]+"/, '"compose_hash":null')
          .replace('"status":"running"', '"status":"stopped"'),
      );
      expect(kinds(stopped)).to.deep.equal(["running-hashes"]);
      const more = await rewritten(/\/apps\/[0-9a-f]{40}$/, (text) => text.replace('"cvm_count":1', '"cvm_count":2'));
      expect(kinds(more)).to.deep.equal(["running-hashes"]);
    });

    it("for machines outside the cloud", async () => {
      const deviceId = parseDeviceId("dd".repeat(32));
      const { appId } = world;
      const added = await addDevice(world.ownerClient, { appId, deviceId });
      await waitForReceipt(world.ownerClient, { transactionHash: added, functionName: "addDevice" });
      const facts = await read();
      expect(kinds(facts)).to.deep.equal(["other-machines"]);
      expect(facts.unknowns[0]?.problem).to.include(deviceId);
      const opened = await setAllowAnyDevice(world.ownerClient, { appId, allowAnyDevice: true });
      await waitForReceipt(world.ownerClient, { transactionHash: opened, functionName: "setAllowAnyDevice" });
      const anywhere = await read();
      expect(kinds(anywhere)).to.deep.equal(["other-machines"]);
      expect(anywhere.unknowns[0]?.problem).to.include("any device").and.not.include(deviceId);
    });

    it("when the history is not complete", async () => {
      const hidden = fillerHash("old version 1");
      const rpc = await rewriteRpc(world.chain.rpcUrl, (method, result) =>
        method === "eth_getLogs" && Array.isArray(result)
          ? result.filter(({ data }) => !String(data).includes(hidden.slice(2)))
          : result,
      );
      try {
        const chain = createClient({ chain: base, transport: http(rpc.url) });
        const pins = [hidden];
        const source = sourceOf(world, { chain, readHistory: () => readHistory(chain, { appId: world.appId }) });
        const facts = await readAllowlistUseFrom(source, pins);
        expect(kinds(facts)).to.deep.equal(["history"]);
        expect(facts.allowed.find(({ composeHash }) => composeHash === hidden)?.added).to.equal(undefined);
      } finally {
        await rpc.close();
      }
    });

    it("when a CVM is moved to an allowed hash without an event", async () => {
      const update = await prepareUpdate(world, "next");
      await allow(world, update.composeHash);
      hold();
      await commitUpdate(world, update);
      const history = await readHistory(world.ownerClient, { appId: world.appId });
      const changes = history.changes.filter(
        (change) => change.kind !== "composeHashAdded" || change.composeHash !== update.composeHash,
      );
      const facts = await readAllowlistUseFrom(sourceOf(world, { readHistory: async () => ({ ...history, changes }) }));
      expect(kinds(facts)).to.deep.equal(["history"]);
      expect(facts.allowed.map(({ composeHash }) => composeHash)).to.include(update.composeHash);
      await settle();
    });

    it("when a hash is allowed although its last event removed it", async () => {
      const hidden = fillerHash("old version 1");
      const history = await readHistory(world.ownerClient, { appId: world.appId });
      const added = history.changes.find((change) => "composeHash" in change && change.composeHash === hidden);
      if (added?.kind !== "composeHashAdded") throw new Error("it was added");
      const changes = [
        ...history.changes,
        { ...added, kind: "composeHashRemoved", logIndex: added.logIndex + 1 } as const,
      ];
      const source = sourceOf(world, { readHistory: async () => ({ ...history, changes }) });
      const facts = await readAllowlistUseFrom(source, [hidden]);
      expect(kinds(facts)).to.deep.equal(["history"]);
      expect(facts.allowed.find(({ composeHash }) => composeHash === hidden)?.added).to.equal(undefined);
    });

    it("when a requested proof of completeness failed", async () => {
      const problem = "The endpoint gives no proof.";
      const facts = await readAllowlistUseFrom(sourceOf(world, { prove: async () => problem }));
      expect(facts.unknowns).to.deep.equal([{ kind: "proof", problem }]);
      expect(kinds(await readAllowlistUseFrom(sourceOf(world, { prove: async () => undefined })))).to.deep.equal([]);
    });

    it("for every reason of an incomplete history", async () => {
      const history = await readHistory(world.ownerClient, { appId: world.appId });
      const messages = ["Blocks 1 to 2 were not read.", "Nothing shows that the app did not exist before."];
      const [notRead = "", unproven = ""] = messages;
      const completeness = {
        isComplete: false,
        reasons: [
          { kind: "blocksNotRead", fromBlock: 1n, toBlock: 2n, message: notRead },
          { kind: "creationUnproven", fromBlock: 3n, message: unproven },
        ],
      } as const;
      const facts = await readAllowlistUseFrom(
        sourceOf(world, { readHistory: async () => ({ ...history, completeness }) }),
      );
      expect(facts.unknowns).to.deep.equal(messages.map((problem) => ({ kind: "history", problem })));
    });

    it("when a running hash is allowed without an event", async () => {
      const history = await readHistory(world.ownerClient, { appId: world.appId });
      const changes = history.changes.filter(
        (change) => change.kind !== "composeHashAdded" || change.composeHash !== world.firstHash,
      );
      const facts = await readAllowlistUseFrom(sourceOf(world, { readHistory: async () => ({ ...history, changes }) }));
      expect(kinds(facts)).to.deep.equal(["history"]);
      expect(facts.allowed.find(({ composeHash }) => composeHash === world.firstHash)?.added).to.equal(undefined);
    });
  });
});
