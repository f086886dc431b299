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
import { settleCvms, type WorldCvms } from "./cvms.ts";
import {
  type ClientEnvironment,
  clientEnvironment,
  inStepWith,
  startCloud,
  type WorldCloudOptions,
  worldNodes,
  worldOsImages,
} from "./start-cloud.ts";
import { type ChainDescription, openWorldState, otherChain } from "./state.ts";
import { Teardown } from "./teardown.ts";

export interface StartWorldParameters extends PageGuardOptions {
  /** Any free port by default. */
  readonly chainPort?: number | undefined;
  /** Lets the chain begin as a fork of the Base-like chain at this RPC URL; the contracts are deployed anew. */
  readonly forkUrl?: string | undefined;
  /**
   * Keeps all of the world: the cloud in this file, the API key and what happened on the chain in `<stateFile>.world`.
   * In memory by default.
   */
  readonly stateFile?: string | undefined;
  /** What the mock cloud is to do differently, its port among it. */
  readonly cloud?: WorldCloudOptions | undefined;
  /** Whether to create the two CVMs every world begins with. @default true */
  readonly cvms?: boolean | undefined;
  /** How the contracts get onto the chain, by default in plain transactions. */
  readonly deploy?: ((client: OwnerClient) => Promise<DeployedContracts>) | undefined;
  /** Stops the start. */
  readonly signal?: AbortSignal | undefined;
}

/** A chain, the contracts on it and a mock cloud that reads them: everything the official clients need. */
export interface World {
  readonly chain: LocalChain;
  readonly contracts: DeployedContracts;
  readonly cloud: RunningMockCloud;
  readonly apiKey: string;
  /** Owns the KMS and the app of the on-chain CVM, and is funded. */
  readonly owner: HDAccount;
  readonly ownerClient: OwnerClient;
  readonly cloudClient: CloudClient;
  readonly nodes: typeof worldNodes;
  readonly osImages: typeof worldOsImages;
  readonly cvms: WorldCvms;
  /** For programs that are to use this world. */
  readonly environment: ClientEnvironment;
  /**
   * Moves the time of chain and cloud together, as advancing the cloud's clock by any other way does too. What falls
   * due is woken and not waited for: see `cloud.whenIdle`.
   */
  advance(seconds: number): Promise<void>;
  /** Keeps the state and the time of chain and cloud, to go back to while this world lives. Answers its name. */
  snapshot(): Promise<string>;
  /**
   * Takes chain and cloud back, any number of times. Snapshots taken after it are gone then: the chain forgets them.
   *
   * @throws InvalidArgumentError, or the cloud's 404
   */
  restore(name: string): Promise<void>;
  /** Ends everything that was started. */
  close(): Promise<void>;
}

/**
 * Starts a whole world in this process, on loopback. Any number of them run side by side. What has started is stopped
 * again if the rest fails.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
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
      stateFile,
      options: inStepWith(chain.client, options),
    });
    teardown.add(() => cloud.close());
    await publishKmsKey(ownerClient, { kms, publicKey: kmsPublicKey });
    const cvms = await settleCvms({ state, cloud: cloudClient, owner: ownerClient, withCvms, signal });
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
