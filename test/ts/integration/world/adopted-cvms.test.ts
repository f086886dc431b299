import { expect } from "chai";
import { getCvm } from "../../../../src/cloud/index.ts";
import {
  type AdoptedCvms,
  readAdoptedCvms,
  type StartWorldParameters,
  startWorld,
  type World,
} from "../../../../src/world/index.ts";

const fast = { cloud: { rolloverMs: 0 } } as const;

describe("a world that adopts CVMs", () => {
  /** Stands in for the real chain and the real cloud. */
  let real: World;
  let adopt: AdoptedCvms;

  before(async () => {
    real = await startWorld(fast);
    const { appId } = real.cvms.onChain ?? {};
    if (appId === undefined) throw new Error("the world has an on-chain app");
    adopt = await readAdoptedCvms(real.cloudClient, { appIds: [appId] });
  });

  after(() => real.close());

  const fork = (parameters: Partial<StartWorldParameters> = {}) =>
    startWorld({ ...fast, forkUrl: real.chain.rpcUrl, adopt, ...parameters });

  it("has the CVM as the real cloud has it, on the live KMS", async () => {
    const world = await fork();
    try {
      expect(world.contracts.kms).to.equal(real.contracts.kms);
      expect([world.cvms, world.refusedOsImages, world.unprovable]).to.deep.equal([{}, [], undefined]);
      const read = async ({ cloudClient }: World) => {
        const { encryptionPublicKey: _, ...cvm } = await getCvm(cloudClient, { cvm: "onchain-app" });
        return cvm;
      };
      expect(await read(world)).to.deep.equal(await read(real));
    } finally {
      await world.close();
    }
  });
});
