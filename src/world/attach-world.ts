import type { LocalAccount } from "viem";
import { readOwnership } from "../chain/read-app.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { type Hex, parseAppId } from "../core/ids.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import type { RunningMockCloud } from "../mock-cloud/index.ts";
import { createLocalChainClient, createOwnerClient, type LocalChainClient, type OwnerClient } from "./chain/client.ts";
import { allowOsImages, type DeployedContracts, findRefusedOsImages, isKmsKeyPublished } from "./contracts.ts";
import { seedCvms, type WorldCvms } from "./cvms.ts";
import { type ExistingChain, findExistingChain } from "./existing-chain.ts";
import { publishOnDevChain, unprovenKeyAdvice } from "./live-kms.ts";
import { openSafe, requireSafeOptions, type WorldSafe, type WorldSafeOptions } from "./safe.ts";
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

export interface AttachWorldParameters {
  readonly rpcUrl: string;
  /** Address of a DstackKms proxy on that chain. */
  readonly kms: string;
  /**
   * Deploys and owns the app of the on-chain CVM, and pays for it. Without an owner the world signs nothing. On a dev
   * chain the node itself sends one transaction as the owner of the KMS.
   */
  readonly owner?: LocalAccount | undefined;
  /** As in `startWorld`, but without the chain, which keeps its own state. */
  readonly stateFile?: string | undefined;
  readonly cloud?: WorldCloudOptions | undefined;
  /** @default true */
  readonly cvms?: boolean | undefined;
  /** As in `startWorld`. Only on a dev chain with its funded accounts, and with an `owner`. */
  readonly safe?: WorldSafeOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A mock cloud on a chain and a KMS that run outside this process. */
export interface AttachedWorld {
  readonly chain: ExistingChain;
  readonly contracts: DeployedContracts;
  readonly cloud: RunningMockCloud;
  readonly apiKey: string;
  readonly owner: LocalAccount | undefined;
  readonly cloudClient: CloudClient;
  readonly nodes: typeof worldNodes;
  readonly osImages: typeof worldOsImages;
  readonly cvms: WorldCvms;
  /** Owner of the app of the on-chain CVM, if the world was started with one. */
  readonly safe: WorldSafe | undefined;
  /** Environment variables for programs that use this world. They do not contain the owner's key. */
  readonly environment: ClientEnvironment;
  /** Why there is no on-chain CVM, in one sentence. */
  readonly missing: string | undefined;
  /** Why updates cannot find on chain which key signs app keys, in one sentence. */
  readonly unprovable: string | undefined;
  /** Moves the cloud's time and, on a dev chain, the chain's time. */
  advance(seconds: number): Promise<void>;
  /** Keeps the state and time of the cloud and, on a dev chain, of the chain. Returns the snapshot's name. */
  snapshot(): Promise<string>;
  /**
   * Returns to a snapshot. It can be restored any number of times.
   *
   * @throws InvalidArgumentError, or ApiError 404 of the cloud
   */
  restore(name: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a mock cloud that reads an existing chain and KMS. It does not deploy or change platform contracts, except on
 * a dev chain. There the owner of the KMS allows this world's OS images, and the node publishes the mock KMS's key as
 * the impersonated owner.
 *
 * @throws InvalidArgumentError, InvalidHexError, NoContractError, RpcUnavailableError
 *
 * @example
 * import { attachWorld } from "dstack-toolkit/world";
 * import { kms } from "./app.js";
 * const world = await attachWorld({ rpcUrl: "http://127.0.0.1:8545", kms });
 * console.log(world.cloud.baseUrl);
 * await world.close();
 */
export async function attachWorld(parameters: AttachWorldParameters): Promise<AttachedWorld> {
  const { rpcUrl, owner, stateFile, cloud: options = {}, cvms: withCvms = true, signal } = parameters;
  const teardown = new Teardown();
  try {
    const chain = await findExistingChain(parameters);
    const { id: chainId } = chain;
    const { kms } = chain.contracts;
    const wanted: ChainDescription = { kind: "existing", id: chainId, kms };
    const state = await openWorldState({ stateFile, describeChain: async () => wanted });
    teardown.add(() => state.close());
    if (!isSame(state.chain, wanted)) throw otherChain(stateFile, state.chain);
    signal?.throwIfAborted();

    // The time and the state can be changed only on a dev chain.
    const localClient = chain.isDevChain ? createLocalChainClient(rpcUrl, chain.definition) : undefined;
    const ownerClient =
      owner && createOwnerClient({ rpcUrl, chain: chain.definition, owner, pollingMs: chain.pollingMs });
    if (parameters.safe !== undefined) requireSafe(parameters.safe, chain, ownerClient);
    const missing = await findObstacle(chain, ownerClient);
    const { apiKey } = state;
    const { cloud, cloudClient, kmsPublicKey } = await startCloud({
      apiKey,
      chainId,
      kms,
      rpcUrl,
      stateFile,
      options: localClient === undefined ? options : syncClock(localClient, options),
    });
    teardown.add(() => cloud.close());
    const unprovable = await publishKey(chain, localClient, kmsPublicKey);
    const payer = missing === undefined ? ownerClient : undefined;
    const cvms = await seedCvms({ state, cloud: cloudClient, owner: payer, withCvms, signal });
    const appId = cvms.onChain?.appId;
    const safe =
      ownerClient === undefined
        ? state.safe
        : await openSafe({ state, client: ownerClient, appId, options: parameters.safe });
    return {
      chain,
      contracts: chain.contracts,
      cloud,
      apiKey,
      owner,
      cloudClient,
      nodes: worldNodes,
      osImages: worldOsImages,
      cvms,
      safe,
      environment: clientEnvironment({ baseUrl: cloud.baseUrl, apiKey, rpcUrl, kms }),
      missing: withCvms && cvms.onChain === undefined ? missing : undefined,
      unprovable,
      advance: (seconds) => cloud.advance(seconds * 1000),
      snapshot: () => cloud.snapshot(),
      restore: (name) => cloud.restore(name),
      close: () => teardown.run(),
    };
  } catch (error) {
    throw await teardown.after(signal?.aborted ? signal.reason : error);
  }
}

/** @throws InvalidArgumentError if the accounts of the Safe could not sign here, or no account could pay */
function requireSafe(options: WorldSafeOptions, { isDevChain }: ExistingChain, client: OwnerClient | undefined): void {
  requireSafeOptions(options);
  if (isDevChain && client !== undefined) return;
  throw new InvalidArgumentError("A local Safe needs a chain of Hardhat or anvil, and a key that pays there.", {
    nextStep: client === undefined ? "Give `owner`." : "Leave out `safe`. On a real chain, use a Safe of your own.",
  });
}

/** Returns why an on-chain CVM cannot be created and booted. On a dev chain it allows the OS images first. */
async function findObstacle(chain: ExistingChain, ownerClient: OwnerClient | undefined): Promise<string | undefined> {
  const { client, contracts, isDevChain } = chain;
  if (ownerClient === undefined) return "There is no on-chain CVM: deploying its app needs a key, and none was given.";
  const refused = await findRefusedOsImages(client, contracts.kms, worldOsImages);
  // Only on a dev chain: a KMS that protects real apps must never allow a mock's OS images.
  if (isDevChain && (await isOwner(chain, ownerClient))) {
    await allowOsImages(ownerClient, contracts.kms, refused);
    return undefined;
  }
  const [image] = worldOsImages;
  if (!refused.includes(image)) return undefined;
  return `There is no on-chain CVM: the KMS does not allow OS image ${image.name} (${image.hash}), so no CVM would boot.`;
}

/** Publishes the mock KMS's key on a dev chain. Returns why the contract does not name that key, or undefined. */
async function publishKey(
  { client, contracts: { kms } }: ExistingChain,
  localClient: LocalChainClient | undefined,
  publicKey: Hex,
): Promise<string | undefined> {
  if (localClient !== undefined) return publishOnDevChain(localClient, { kms, publicKey });
  if (await isKmsKeyPublished(client, { kms, publicKey })) return undefined;
  return `The KMS ${kms} does not publish the key that signs this mock cloud's app keys. ${unprovenKeyAdvice(publicKey)}`;
}

async function isOwner({ client, contracts }: ExistingChain, { account }: OwnerClient): Promise<boolean> {
  const { owner } = await readOwnership(client, { appId: parseAppId(contracts.kms) });
  return owner.toLowerCase() === account.address.toLowerCase();
}

function isSame(known: ChainDescription, wanted: ChainDescription): boolean {
  if (known.kind !== "existing" || wanted.kind !== "existing") return false;
  return known.id === wanted.id && known.kms === wanted.kms;
}
