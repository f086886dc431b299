import type { HDAccount } from "viem";
import { base } from "viem/chains";
import type { CloudClient } from "../cloud/create-client.ts";
import type { PageGuardOptions } from "../mock-cloud/http/page-guard.ts";
import type { RunningMockCloud } from "../mock-cloud/index.ts";
import { createOwnerClient, devAccount, devPrivateKey, type OwnerClient } from "./chain/client.ts";
import { type ForkPoint, findForkPoint, type LocalChain, startChain } from "./chain/start-chain.ts";
import {
  allowOsImages,
  type DeployedContracts,
  deployContracts,
  findRefusedOsImages,
  publishKmsKey,
} from "./contracts.ts";
import { seedCvms, type WorldCvms } from "./cvms.ts";
import {
  type ClientEnvironment,
  clientEnvironment,
  startCloud,
  syncClock,
  type WorldCloudOptions,
  worldNodes,
  worldOsImages,
} from "./start-cloud.ts";
import { type ChainDescription, openWorldState, otherChain } from "./state.ts";
import { Teardown } from "./teardown.ts";

export interface StartWorldParameters extends PageGuardOptions {
  /** @default any free port */
  readonly chainPort?: number | undefined;
  /** Starts the chain as a fork of the Base-like chain at this RPC URL. The contracts are deployed anew. */
  readonly forkUrl?: string | undefined;
  /**
   * Keeps the whole world on disk: the cloud in this file, the API key and the chain's history in `<stateFile>.world`.
   *
   * @default none: the world is in memory only
   */
  readonly stateFile?: string | undefined;
  /** Options of the mock cloud, such as its port. */
  readonly cloud?: WorldCloudOptions | undefined;
  /** Whether to create the two initial CVMs. @default true */
  readonly cvms?: boolean | undefined;
  /** Deploys the contracts. @default deployContracts, which sends plain transactions */
  readonly deploy?: ((client: OwnerClient) => Promise<DeployedContracts>) | undefined;
  /** Aborts the start. */
  readonly signal?: AbortSignal | undefined;
}

/** A chain, the contracts on it and a mock cloud that reads them: everything the official clients need. */
export interface World {
  readonly chain: LocalChain;
  readonly contracts: DeployedContracts;
  readonly cloud: RunningMockCloud;
  readonly apiKey: string;
  /** Owner of the KMS and of the app of the on-chain CVM. Its account is funded. */
  readonly owner: HDAccount;
  readonly ownerClient: OwnerClient;
  readonly cloudClient: CloudClient;
  readonly nodes: typeof worldNodes;
  readonly osImages: typeof worldOsImages;
  readonly cvms: WorldCvms;
  /** Environment variables for programs that use this world. */
  readonly environment: ClientEnvironment;
  /**
   * Moves the time of the chain and the cloud together. Moving the cloud's clock in another way does the same. Waits
   * that are due then end, but this call does not wait for their work: see `cloud.whenIdle`.
   */
  advance(seconds: number): Promise<void>;
  /** Keeps the state and time of chain and cloud while this world lives. Returns the snapshot's name. */
  snapshot(): Promise<string>;
  /**
   * Returns chain and cloud to a snapshot. It can be restored any number of times. Later snapshots are lost, because
   * the chain forgets them.
   *
   * @throws InvalidArgumentError, or ApiError 404 of the cloud
   */
  restore(name: string): Promise<void>;
  /** Stops everything that the world started. */
  close(): Promise<void>;
}

/**
 * Starts a whole world in this process, on loopback. Several worlds can run in parallel. If a part fails to start, the
 * parts that started before are stopped again.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 *
 * @example
 * import { startWorld } from "dstack-toolkit/world";
 * const world = await startWorld();
 * console.log(world.chain.rpcUrl, world.cloud.baseUrl);
 * await world.close();
 */
export async function startWorld(parameters: StartWorldParameters = {}): Promise<World> {
  const { chainPort, forkUrl, stateFile, cvms: withCvms = true, signal, allowedHosts, allowedOrigins } = parameters;
  const options = { allowedHosts, allowedOrigins, ...parameters.cloud };
  const teardown = new Teardown();
  try {
    const state = await openWorldState({ stateFile, describeChain: () => describeChain(forkUrl, signal) });
    teardown.add(() => state.close());
    const fork = toForkPoint(state.chain, parameters);
    const chain = await startChain({ port: chainPort, fork, record: state.record, allowedHosts, allowedOrigins });
    teardown.add(() => chain.close());
    signal?.throwIfAborted();

    const { rpcUrl } = chain;
    const owner = devAccount(0);
    const ownerClient = createOwnerClient({ rpcUrl, chain: base, owner });
    const contracts = state.contracts ?? (await (parameters.deploy ?? deployContracts)(ownerClient));
    const { kms } = contracts;
    await allowOsImages(ownerClient, kms, await findRefusedOsImages(ownerClient, kms, worldOsImages));
    if (state.contracts === undefined) state.noteContracts(contracts);
    signal?.throwIfAborted();

    const { apiKey } = state;
    const { cloud, cloudClient, kmsPublicKey } = await startCloud({
      apiKey,
      chainId: base.id,
      kms,
      rpcUrl,
      transport: chain.transport,
      stateFile,
      options: syncClock(chain.client, options),
    });
    teardown.add(() => cloud.close());
    await publishKmsKey(ownerClient, { kms, publicKey: kmsPublicKey });
    const cvms = await seedCvms({ state, cloud: cloudClient, owner: ownerClient, withCvms, signal });
    return {
      chain,
      contracts,
      cloud,
      apiKey,
      owner,
      ownerClient,
      cloudClient,
      nodes: worldNodes,
      osImages: worldOsImages,
      cvms,
      environment: clientEnvironment({ baseUrl: cloud.baseUrl, apiKey, rpcUrl, kms, privateKey: devPrivateKey(0) }),
      advance: (seconds) => cloud.advance(seconds * 1000),
      snapshot: () => cloud.snapshot(),
      restore: (name) => cloud.restore(name),
      close: () => teardown.run(),
    };
  } catch (error) {
    throw await teardown.after(signal?.aborted ? signal.reason : error);
  }
}

async function describeChain(forkUrl: string | undefined, signal: AbortSignal | undefined): Promise<ChainDescription> {
  const genesis = new Date().toISOString();
  if (forkUrl === undefined) return { kind: "local", genesis };
  const { blockNumber, hardfork } = await findForkPoint(forkUrl, signal);
  return { kind: "fork", genesis, blockNumber: blockNumber.toString(), hardfork };
}

function toForkPoint(chain: ChainDescription, { forkUrl, stateFile }: StartWorldParameters): ForkPoint | undefined {
  if (chain.kind !== (forkUrl === undefined ? "local" : "fork")) throw otherChain(stateFile, chain);
  if (chain.kind !== "fork" || forkUrl === undefined) return undefined;
  return { url: forkUrl, blockNumber: BigInt(chain.blockNumber), hardfork: chain.hardfork };
}
