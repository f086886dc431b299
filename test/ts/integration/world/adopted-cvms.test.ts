import { join } from "node:path";
import { expect } from "chai";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { readAllowlist, readOwnership } from "../../../../src/chain/read-app.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import type { Cvm } from "../../../../src/cloud/cvm.ts";
import { getAppRevisions, getCvm, getKnownDevices, stopCvm } from "../../../../src/cloud/index.ts";
import { type AppId, parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { updateCvm } from "../../../../src/update/index.ts";
import { createOwnerClient, devAccount } from "../../../../src/world/chain/client.ts";
import { deployContracts } from "../../../../src/world/contracts.ts";
import {
  type AdoptedCvms,
  formatAdoptedCvms,
  parseAdoptedCvms,
  readAdoptedCvms,
  type StartWorldParameters,
  startWorld,
  type World,
} from "../../../../src/world/index.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const fast = { cloud: { rolloverMs: 0 } } as const;
const dockerCompose = "services:\n  web:\n    image: nginx:1.29\n    environment:\n      - GREETING\n";

describe("a world that adopts CVMs", () => {
  const directory = useTemporaryDirectory();
  /** Stands in for the real chain and the real cloud. */
  let real: World;
  let appId: AppId;
  let adopt: AdoptedCvms;

  before(async () => {
    real = await startWorld(fast);
    const app = real.cvms.onChain?.appId;
    if (app === undefined) throw new Error("the world has an on-chain app");
    appId = app;
    adopt = await readAdoptedCvms(real.cloudClient, { appIds: [appId] });
  });

  after(() => real.close());

  const fork = (parameters: Partial<StartWorldParameters> = {}) =>
    startWorld({ ...fast, forkUrl: real.chain.rpcUrl, adopt, ...parameters });

  async function withFork(act: (world: World) => Promise<void>, parameters?: Partial<StartWorldParameters>) {
    const world = await fork(parameters);
    try {
      await act(world);
    } finally {
      await world.close();
    }
  }

  /** All but the key of its environment, which each cloud derives anew. */
  async function read({ cloudClient }: World): Promise<Omit<Cvm, "encryptionPublicKey">> {
    const { encryptionPublicKey: _, ...cvm } = await getCvm(cloudClient, { cvm: "onchain-app" });
    return cvm;
  }

  const update = ({ cloudClient, chain }: World, changes = {}) =>
    updateCvm({
      cloud: cloudClient,
      chain: createOwnerClient({ rpcUrl: chain.rpcUrl, chain: chain.client.chain, owner: devAccount(0) }),
      ledger: memoryLedger(),
      ...{ cvm: "onchain-app", dockerCompose, pollChainMs: 20, pollCloudMs: 20 },
      ...changes,
    });

  it("has the CVM as the real cloud has it, on the live KMS, with the cloud's machines", () =>
    withFork(async (world) => {
      expect(world.contracts.kms).to.equal(real.contracts.kms);
      expect([world.cvms, world.refusedOsImages, world.unprovable]).to.deep.equal([{}, [], undefined]);
      expect(await read(world)).to.deep.equal(await read(real));
      expect(await getKnownDevices(world.cloudClient, { appId })).to.have.members(
        await getKnownDevices(real.cloudClient, { appId }),
      );
      const { revisions } = await getAppRevisions(world.cloudClient, { appId });
      expect(revisions.map(({ composeHash, kind }) => [composeHash, kind])).to.deep.equal([
        [adopt.cvms[0]?.composeHash, "create"],
      ]);
    }));

  it("updates the CVM there, with and without an environment, and leaves the real one alone", () =>
    withFork(async (world) => {
      const before = await read(real);
      const height = await real.chain.client.getBlockNumber();
      const kept = await update(world);
      expect(kept.outcome).to.equal("updated");
      expect(world.cloud.readEnvironment(before.id)).to.deep.equal([]);
      // The key is proven by what the world published on the fork.
      const environment = [{ key: "GREETING", value: "hi" }];
      const changed = await update(world, {
        ...{ appId, environment, kms: world.contracts.kms },
        dockerCompose: dockerCompose.replace("1.29", "1.30"),
      });
      expect(changed.outcome).to.equal("updated");
      expect(world.cloud.readEnvironment(before.id)).to.deep.equal(environment);
      expect(await read(real)).to.deep.equal(before);
      expect(await real.chain.client.getBlockNumber()).to.equal(height);
    }));

  it("keeps a stopped CVM stopped, and replicas of one app apart", async () => {
    const [cvm] = adopt.cvms;
    if (cvm === undefined) throw new Error("there is one");
    const replica = { ...cvm, id: "cvm_replica", vmUuid: undefined, instanceId: undefined, status: "stopped" as const };
    await withFork(
      async ({ cloudClient }) => {
        const statuses = [cvm.id, replica.id].map(async (id) => (await getCvm(cloudClient, { cvm: id })).status);
        expect(await Promise.all(statuses)).to.deep.equal(["running", "stopped"]);
      },
      { adopt: { ...adopt, cvms: [cvm, replica] } },
    );
  });

  it("names the OS images that the live KMS does not allow, and allows none itself", async () => {
    const [cvm] = adopt.cvms;
    if (cvm === undefined) throw new Error("there is one");
    const osImage = { name: "dstack-9.9.9", version: "9.9.9", hash: `0x${"99".repeat(32)}`, isDev: false } as const;
    await withFork(async (world) => void expect(world.refusedOsImages).to.deep.equal([osImage]), {
      adopt: { ...adopt, cvms: [{ ...cvm, osImage }] },
    });
  });

  it("starts at the block that is named", async () => {
    const forkBlock = await real.chain.client.getBlockNumber();
    const other = parseComposeHash("0c".repeat(32));
    await addComposeHash(real.ownerClient, { appId, composeHash: other });
    await withFork(
      async ({ chain }) => {
        const { transactions } = await chain.client.getBlock({ blockNumber: forkBlock });
        expect(transactions).to.have.lengthOf(1);
        const { composeHashAllowed } = await readAllowlist(chain.client, { appId, composeHash: other });
        expect(composeHashAllowed).to.equal(false);
      },
      { forkBlock },
    );
    const error = await catchError(fork({ forkBlock: forkBlock + 1_000n }), InvalidArgumentError);
    expect(error.message).to.include(`has no block ${forkBlock + 1_000n}`);
  });

  it("starts again from a file of CVMs and a recording, when cloud and chain are gone", async () => {
    const record = join(directory.path, "live.rpc.jsonl");
    const gone = await startWorld(fast);
    const { appId = parseAppId("00".repeat(20)) } = gone.cvms.onChain ?? {};
    const file = formatAdoptedCvms(await readAdoptedCvms(gone.cloudClient, { appIds: [appId] }));
    // Old enough that the engine would keep it in a cache of its own.
    await gone.chain.client.mine({ blocks: 300 });
    const session = async (source: Partial<StartWorldParameters>) => {
      const world = await startWorld({ ...fast, ...source, adopt: parseAdoptedCvms(file) });
      try {
        const { outcome, composeHash } = await update(world);
        const { owner } = await readOwnership(world.chain.client, { appId });
        return { outcome, composeHash, owner, missing: world.recording?.missing() };
      } finally {
        await world.close();
      }
    };
    const first = await session({ forkUrl: gone.chain.rpcUrl, record });
    await gone.close();
    expect(first).to.include({ outcome: "updated" });
    expect(await session({ replay: record })).to.deep.equal(first);

    const unseen = await startWorld({ ...fast, replay: record, adopt: parseAdoptedCvms(file) });
    const address = `0x${"ab".repeat(20)}` as const;
    expect(await unseen.chain.client.getBalance({ address }).catch(String)).to.include(address);
    expect(unseen.recording?.missing().join()).to.include(address);
    await unseen.close();
  });

  it("goes on with a state file, and does not adopt other CVMs then", async () => {
    const stateFile = join(directory.path, "world.db");
    const first = await fork({ stateFile });
    const { composeHash } = await update(first);
    const [cvm] = adopt.cvms;
    await stopCvm(first.cloudClient, { cvm: "onchain-app" });
    await first.cloud.whenIdle();
    await first.close();
    for (const again of [adopt, undefined]) {
      const next = await fork({ stateFile, adopt: again, kms: adopt.kms });
      expect(await getCvm(next.cloudClient, { cvm: cvm?.id ?? "" })).to.include({ composeHash, status: "stopped" });
      expect(next.adopted).to.deep.equal(adopt);
      await next.close();
    }
    const others = { ...adopt, cvms: adopt.cvms.map((each) => ({ ...each, id: "cvm_other" })) };
    const other = await catchError(fork({ stateFile, adopt: others }), InvalidArgumentError);
    expect(other.message).to.include("cannot adopt cvm_other");
    const ownKms = await catchError(fork({ stateFile, adopt: undefined }), InvalidArgumentError);
    expect(ownKms.message).to.include(`with KMS ${adopt.kms}`);
  });

  it("refuses a KMS, an app or a chain that does not belong to the CVMs", async () => {
    const { kms: otherKms } = await deployContracts(real.ownerClient);
    const unknown = parseAppId("a1".repeat(20));
    const cases: readonly [Partial<StartWorldParameters>, string][] = [
      [{ kms: otherKms }, `The adopted CVMs ask KMS ${adopt.kms}`],
      [{ adopt: { ...adopt, kms: otherKms } }, `App ${appId} is not registered at KMS ${otherKms}`],
      [{ adopt: { ...adopt, kms: appId } }, "is not a DstackKms at the forked block"],
      [{ adopt: { ...adopt, kms: unknown } }, "is not a DstackKms at the forked block"],
      [{ adopt: { ...adopt, chainId: 1 } }, "is on chain 1, but the fork is of chain 8453"],
      [{ adopt: { ...adopt, cvms: [] } }, "there is no CVM"],
      [{ adopt: { ...adopt, cvms: adopt.cvms.flatMap((cvm) => [cvm, cvm]) } }, "two CVMs have the id"],
      [{ adopt: { ...adopt, nodes: [] } }, "belongs to none of the nodes"],
      [{ forkUrl: undefined }, "`adopt` needs `forkUrl`"],
      [{ forkUrl: undefined, adopt: undefined, kms: adopt.kms }, "`kms` needs `forkUrl`"],
      [{ forkUrl: undefined, record: "x" }, "needs `forkUrl`"],
      [{ replay: "x" }, "excludes `forkUrl`"],
    ];
    for (const [parameters, words] of cases) {
      const error = await catchError(fork(parameters), InvalidArgumentError);
      expect(error.message).to.include(words);
    }
  });

  it("says which two hashes differ when a document is not the one that runs", async () => {
    const [cvm] = adopt.cvms;
    if (cvm === undefined) throw new Error("there is one");
    const forged = { ...adopt, cvms: [{ ...cvm, composeFile: `${cvm.composeFile} ` }] };
    const error = await catchError(fork({ adopt: forged }), InvalidArgumentError);
    expect(error.message).to.match(new RegExp(`runs ${cvm.composeHash}, but its document has the hash 0x[0-9a-f]{64}`));
    const inFile = await catchError(
      Promise.resolve().then(() => parseAdoptedCvms(formatAdoptedCvms(forged))),
      InvalidArgumentError,
    );
    expect(inFile.message).to.equal(error.message);
  });
});
