import protocolKit from "@safe-global/protocol-kit";
import {
  getCompatibilityFallbackHandlerDeployment,
  getCreateCallDeployment,
  getMultiSendCallOnlyDeployment,
  getMultiSendDeployment,
  getProxyFactoryDeployment,
  getSafeL2SingletonDeployment,
  getSafeSingletonDeployment,
  getSignMessageLibDeployment,
  getSimulateTxAccessorDeployment,
} from "@safe-global/safe-deployments";
import { expect } from "chai";
import { isAddressEqual, keccak256 } from "viem";
import { readOwnership } from "../../../../src/chain/read-app.ts";
import { readOwner } from "../../../../src/chain/read-owner.ts";
import { type SafeDeployment, safeDeployments } from "../../../../src/core/safe-deployments.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { attachWorld } from "../../../../src/world/attach-world.ts";
import { createOwnerClient, devAccount } from "../../../../src/world/chain/client.ts";
import { startChain } from "../../../../src/world/chain/start-chain.ts";
import { deployContracts } from "../../../../src/world/contracts.ts";
import { installSafeContracts } from "../../../../src/world/safe.ts";
import { startWorld } from "../../../../src/world/start-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

// Its types are those of its CommonJS form, which has the class one level deeper.
const SafeKit = protocolKit as unknown as typeof protocolKit.default;

/** Safe's own list of its deployments. */
const published = {
  safe: getSafeSingletonDeployment,
  safeL2: getSafeL2SingletonDeployment,
  proxyFactory: getProxyFactoryDeployment,
  multiSend: getMultiSendDeployment,
  multiSendCallOnly: getMultiSendCallOnlyDeployment,
  fallbackHandler: getCompatibilityFallbackHandlerDeployment,
  simulateTxAccessor: getSimulateTxAccessorDeployment,
  signMessageLib: getSignMessageLibDeployment,
  createCall: getCreateCallDeployment,
} as const satisfies Record<keyof SafeDeployment, unknown>;

function publishedOf(name: keyof SafeDeployment, version: string) {
  const found = published[name]({ version, released: true })?.deployments.canonical;
  if (found === undefined) throw new Error(`${name} ${version} is in the list`);
  return found;
}

describe("Safe's deployments", () => {
  it("have the addresses of Safe's own list", () => {
    for (const [version, deployment] of Object.entries(safeDeployments))
      for (const name of Object.keys(published) as (keyof SafeDeployment)[])
        expect(deployment[name], `${name} ${version}`).to.equal(publishedOf(name, version).address);
  });

  it("have the published code at these addresses of a local chain", async () => {
    const chain = await startChain();
    try {
      const client = createOwnerClient({ rpcUrl: chain.rpcUrl, chain: chain.client.chain, owner: devAccount(0) });
      for (const version of ["1.4.1", "1.5.0"] as const) {
        const deployment = await installSafeContracts(client, version);
        for (const name of Object.keys(published) as (keyof SafeDeployment)[]) {
          const code = (await chain.client.getCode({ address: deployment[name] })) ?? "0x";
          expect(keccak256(code), `${name} ${version}`).to.equal(publishedOf(name, version).codeHash);
        }
        const height = await chain.client.getBlockNumber({ cacheTime: 0 });
        await installSafeContracts(client, version);
        expect(await chain.client.getBlockNumber({ cacheTime: 0 })).to.equal(height);
      }
    } finally {
      await chain.close();
    }
  });
});

describe("a world with a Safe", () => {
  const directory = useTemporaryDirectory();
  const cloud = { rolloverMs: 0 };

  it("has an app that the Safe owns, also after a restart", async () => {
    const stateFile = `${directory.path}/world.db`;
    const first = await startWorld({ stateFile, cloud, safe: { threshold: 2, owners: 3 } });
    const { safe } = first;
    const appId = first.cvms.onChain?.appId;
    if (safe === undefined || appId === undefined) throw new Error("the world has both");
    try {
      expect(safe).to.deep.include({
        version: "1.5.0",
        threshold: 2,
        multiSend: safeDeployments["1.5.0"].multiSendCallOnly,
      });
      expect(safe.owners).to.deep.equal([0, 1, 2].map((index) => devAccount(index).address));
      const ownership = await readOwnership(first.chain.client, { appId });
      expect(isAddressEqual(ownership.owner, safe.address)).to.equal(true);
      expect(await readOwner(first.chain.client, safe)).to.deep.include({ kind: "safe", threshold: 2n, nonce: 1n });
      // protocol-kit finds its contracts by Safe's own list.
      const kit = await SafeKit.init({ provider: first.chain.rpcUrl, safeAddress: safe.address });
      expect(kit.getContractVersion()).to.equal("1.5.0");
      expect(await kit.getOwners()).to.deep.equal(safe.owners);
    } finally {
      await first.close();
    }

    const other = { stateFile, cloud, safe: { threshold: 1, owners: 3 } };
    expect((await catchError(startWorld(other), InvalidArgumentError)).message).to.contain("2 of 3");
    const second = await startWorld({ stateFile, cloud });
    try {
      expect(second.safe).to.deep.equal(safe);
      expect(await readOwner(second.chain.client, safe)).to.deep.include({ kind: "safe", nonce: 1n });
    } finally {
      await second.close();
    }
  });

  it("can have a Safe 1.4.1 on an existing chain, and only with a key that pays there", async () => {
    const chain = await startChain();
    try {
      const { rpcUrl, client } = chain;
      const owner = devAccount(0);
      const { kms } = await deployContracts(createOwnerClient({ rpcUrl, chain: client.chain, owner }));
      const safe = { threshold: 1, owners: 1, version: "1.4.1" } as const;
      await catchError(attachWorld({ rpcUrl, kms, cloud, safe }), InvalidArgumentError);
      const world = await attachWorld({ rpcUrl, kms, cloud, safe, owner });
      try {
        const appId = world.cvms.onChain?.appId;
        if (world.safe === undefined || appId === undefined) throw new Error("the world has both");
        expect(await readOwner(client, world.safe)).to.deep.include({ kind: "safe", version: "1.4.1", threshold: 1n });
        const ownership = await readOwnership(client, { appId });
        expect(isAddressEqual(ownership.owner, world.safe.address)).to.equal(true);
      } finally {
        await world.close();
      }
    } finally {
      await chain.close();
    }
  });

  it("is refused with settings that no local Safe can have", async () => {
    for (const [threshold, owners] of [
      [0, 1],
      [3, 2],
      [1, 0],
      [1, 21],
      [1.5, 2],
      [1, Number.NaN],
    ] as const)
      await catchError(startWorld({ safe: { threshold, owners } }), InvalidArgumentError);
  });
});
