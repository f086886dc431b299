import { expect } from "chai";
import { type AppStatus, readAppStatus } from "../../../../src/chain/read-app.ts";
import { readKmsStatus } from "../../../../src/chain/read-kms.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import { readHistory } from "../../../../src/history/read-history.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { type AppName, appCases, appNames, images, nodes } from "../../../support/upstream/cases.ts";
import { startUpstream, type Upstream } from "../../../support/upstream/start-upstream.ts";

/** What the toolkit must find out about an app from the chain alone. */
interface Expected {
  readonly releases: string;
  readonly owner: AppStatus["owner"]["kind"];
  readonly isTwoStep?: true;
  readonly isFrozen?: true;
  readonly isShifted?: true;
}

const expected: Readonly<Record<AppName, Expected>> = {
  "one-step": { releases: "0.5.9 to 0.5.16", owner: "eoa" },
  "two-step": { releases: "0.6.0", owner: "eoa", isTwoStep: true },
  "layout-054": { releases: "0.5.4 to 0.5.8", owner: "eoa" },
  "layout-042": { releases: "0.4.2 to 0.5.3", owner: "eoa", isShifted: true },
  frozen: { releases: "0.5.9 to 0.5.16", owner: "eoa", isFrozen: true },
  "of-safe": { releases: "0.5.9 to 0.5.16", owner: "safe" },
  "of-timelock": { releases: "0.6.0", owner: "timelock", isTwoStep: true },
  "of-timelock-of-safe": { releases: "0.6.0", owner: "timelock", isTwoStep: true },
  stranded: { releases: "0.5.9 to 0.5.16", owner: "contract" },
  epochs: { releases: "0.6.5 or 0.6.6", owner: "eoa", isTwoStep: true },
};

describe("the upstream that rehearsals fork", () => {
  let upstream: Upstream;
  before(async () => {
    upstream = await startUpstream();
  });
  after(() => upstream?.close());

  for (const name of appNames) {
    const { releases, owner, isTwoStep = false, isFrozen = false, isShifted = false } = expected[name];
    it(`has an app that is found to be what it is: ${name}`, async () => {
      const { appId } = upstream.apps[name];
      const status = await readAppStatus(upstream.chain.client, { appId });
      if (status.kind !== "app") throw new Error(`${appId} is no app.`);
      expect(status.generation.releases).to.equal(releases);
      expect(status.owner.kind).to.equal(owner);
      expect(status).to.include({ isTwoStep, upgradesDisabled: isFrozen });
      expect(status.shiftedAppId?.toLowerCase()).to.equal(isShifted ? appId : undefined);
    });

    it(`has years of its history, and its CVMs: ${name}`, async () => {
      const { appId, cvms } = upstream.apps[name];
      const { changes, completeness } = await readHistory(upstream.chain.client, {
        appId,
        timestamps: true,
        retryDelayMs: 5,
      });
      expect(completeness).to.deep.equal({ isComplete: true });
      expect(changes.length).to.be.greaterThan(appCases[name].events);
      const age = Date.now() / 1000 - Number(changes[0]?.timestamp);
      expect(age).to.be.greaterThan(365 * 86_400);
      const found = await getAppCvms(upstream.cloudClient, { appId });
      expect(found.map(({ id, composeHash }) => ({ id, composeHash }))).to.have.deep.members(cvms);
      const added = changes.flatMap((change) => (change.kind === "composeHashAdded" ? [change.composeHash] : []));
      expect(added).to.include.members(cvms.map(({ composeHash }) => composeHash));
    });
  }

  it("has a KMS of each ownership, and the live one no longer allows an image that a CVM booted", async () => {
    const { chain, kms, apps, cloudClient } = upstream;
    const [used, past] = [images.used.osImageHash, images.past.osImageHash];
    const [live, current] = await Promise.all(
      [kms.live, kms.current].map((address) =>
        readKmsStatus(chain.client, { kms: address, osImageHashes: [used, past] }),
      ),
    );
    expect(live).to.deep.include({ isTwoStep: false, owner: { ...live?.owner, kind: "safe" } });
    expect(current).to.deep.include({ isTwoStep: true, owner: { ...current?.owner, kind: "eoa" } });
    expect(live?.osImages.map(({ isAllowed }) => isAllowed)).to.deep.equal([true, false]);
    const [frozen] = await getAppCvms(cloudClient, { appId: apps.frozen.appId });
    expect(frozen).to.include({ osVersion: images.past.version, status: "running" });
  });

  it("is one world for the tasks", async () => {
    const { appId, kms } = upstream.apps["one-step"];
    const run = await runTask(await projectOf(upstream), ["status"], { app: appId, json: true });
    expect(run.exitCode, run.stdout + run.stderr).to.equal(0);
    const status = run.json<{ kms: string; cvms: { deviceId: string }[]; composeHashes: object[] }>();
    expect(status.kms.toLowerCase()).to.equal(kms);
    expect(status.cvms.map(({ deviceId }) => deviceId)).to.have.members(nodes.map(({ deviceId }) => deviceId));
    expect(status.composeHashes.length).to.be.greaterThan(20);
  });

  it("returns to a snapshot, with its cloud, as often as needed", async () => {
    const { chain, apps, cloudClient } = upstream;
    const { appId } = apps["of-safe"];
    const untouched = await upstream.snapshot();
    for (const _ of [1, 2]) {
      const before = await chain.client.getBlock();
      await cloudClient.request({ method: "POST", path: `/cvms/${apps["of-safe"].cvms[0]?.id}/stop`, json: {} });
      await upstream.cloud.whenIdle();
      await upstream.advance(86_400);
      expect((await chain.client.getBlock()).timestamp - before.timestamp >= 86_400n).to.equal(true);
      expect((await getAppCvms(cloudClient, { appId }))[0]).to.include({ status: "stopped" });
      await upstream.restore(untouched);
      expect((await chain.client.getBlock()).number).to.equal(before.number);
      expect((await getAppCvms(cloudClient, { appId }))[0]).to.include({ status: "running" });
    }
  });
});
