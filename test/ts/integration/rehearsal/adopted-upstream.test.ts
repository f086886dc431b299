import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { readKmsStatus } from "../../../../src/chain/read-kms.ts";
import type { CloudClient } from "../../../../src/cloud/create-client.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import { getCvmState } from "../../../../src/cloud/get-cvm-state.ts";
import {
  type AdoptedCvms,
  formatAdoptedCvms,
  parseAdoptedCvms,
  readAdoptedCvms,
  startWorld,
  type World,
} from "../../../../src/world/index.ts";
import { type AppName, appCases, appNames, images } from "../../../support/upstream/cases.ts";
import { startUpstream, type Upstream } from "../../../support/upstream/start-upstream.ts";

const ofLiveKms = appNames.filter((name) => appCases[name].kms === "live");
const fast = { cloud: { rolloverMs: 0 } } as const;

describe("a fork that adopts every CVM of the upstream's live KMS", () => {
  let folder: string;
  let file: string;
  let upstream: Upstream;
  let adopt: AdoptedCvms;
  let world: World;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "dstack-adopted-"));
    file = join(folder, "fork.rpc.jsonl");
    upstream = await startUpstream();
    adopt = await readAdoptedCvms(upstream.cloudClient, { appIds: ofLiveKms.map((name) => upstream.apps[name].appId) });
    world = await startWorld({ ...fast, forkUrl: upstream.forkUrl, record: file, adopt });
  });
  after(async () => {
    await world?.close();
    await upstream?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const cvmsOf = async (cloud: CloudClient, name: AppName) =>
    (await getAppCvms(cloud, { appId: upstream.apps[name].appId })).map(({ encryptionPublicKey: _, ...cvm }) => cvm);

  /** What each CVM does when it starts again, by its name. */
  async function bootAll({ cloud, cloudClient }: World): Promise<Readonly<Record<string, string>>> {
    for (const { id } of adopt.cvms)
      await cloudClient.request({ method: "POST", path: `/cvms/${id}/restart`, json: {} });
    await cloud.whenIdle();
    const states = adopt.cvms.map(async ({ id, name }) => {
      const { status, bootError } = await getCvmState(cloudClient, { cvm: id });
      return [name, bootError ?? status] as const;
    });
    return Object.fromEntries(await Promise.all(states));
  }

  it("has them as the upstream's cloud has them", async () => {
    for (const name of ofLiveKms)
      expect(await cvmsOf(world.cloudClient, name), name).to.have.deep.members(
        await cvmsOf(upstream.cloudClient, name),
      );
  });

  it("can keep them in a file, which has no value of an environment", () => {
    const text = formatAdoptedCvms(adopt);
    expect(parseAdoptedCvms(text)).to.deep.equal(adopt);
    expect(text).to.include("GREETING").and.to.not.include("hello");
  });

  it("publishes its key as the Safe that owns the KMS, and allows no OS image", async () => {
    const { kms, chain, owners } = upstream;
    const asked = { kms: kms.live, osImageHashes: [images.used.osImageHash, images.past.osImageHash] };
    const [live, forked] = await Promise.all(
      [chain.client, world.chain.client].map((client) => readKmsStatus(client, asked)),
    );
    expect(forked?.k256Pubkey).to.not.equal(live?.k256Pubkey);
    expect(forked?.owner).to.deep.include({ address: owners.safe, kind: "safe" });
    expect(forked?.osImages).to.deep.equal(live?.osImages);
    expect(world.refusedOsImages.map(({ name }) => name)).to.deep.equal([images.past.name]);
    expect(world.unprovable).to.equal(undefined);
  });

  it("boots them as their apps and the KMS allow, also from its recording after the upstream has gone", async () => {
    const booted = await bootAll(world);
    const { "app-frozen": frozen, "app-epochs": epochs, ...others } = booted;
    expect(frozen).to.equal("OS image is not allowed");
    expect(epochs).to.include("has no verdict");
    expect(new Set(Object.values(others))).to.deep.equal(new Set(["running"]));
    await upstream.stopChain();

    const offline = await startWorld({ ...fast, replay: file, adopt });
    try {
      expect(await bootAll(offline)).to.deep.equal(booted);
      expect(offline.recording?.missing()).to.deep.equal([]);
    } finally {
      await offline.close();
    }
  });
});
