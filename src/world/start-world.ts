import type { Address, HDAccount } from "viem";
import { parseAddress } from "../chain/client.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import type { PageGuardOptions } from "../mock-cloud/http/page-guard.ts";
import type { RunningMockCloud } from "../mock-cloud/index.ts";
import { type AdoptedCvms, requireAdoptable } from "./adopted-cvms.ts";
import type { TagLags } from "./chain/block-tags.ts";
import { createOwnerClient, devAccount, devPrivateKey, mineEvery, type OwnerClient } from "./chain/client.ts";
import { baseChainId } from "./chain/predeploys.ts";
import { openForkSource, type RpcRecording } from "./chain/rpc-recording.ts";
import {
  type ForkBlock,
  findForkPoint,
  type LocalChain,
  type StartChainParameters,
  startChain,
} from "./chain/start-chain.ts";
import {
  allowOsImages,
  type DeployedContracts,
  deployContracts,
  findRefusedOsImages,
  publishKmsKey,
} from "./contracts.ts";
import { seedCvms, type WorldCvms } from "./cvms.ts";
import { findLiveKms, publishOnDevChain } from "./live-kms.ts";
import { openSafe, requireSafeOptions, type WorldSafe, type WorldSafeOptions } from "./safe.ts";
import {
  type ClientEnvironment,
  clientEnvironment,
  startCloud,
  syncClock,
  type WorldCloudOptions,
  type WorldOsImage,
  worldNodes,
  worldOsImages,
} from "./start-cloud.ts";
import { type ChainDescription, openWorldState, otherChain, type WorldState } from "./state.ts";
import { Teardown } from "./teardown.ts";

export interface StartWorldParameters extends PageGuardOptions {
  /** @default any free port */
  readonly chainPort?: number | undefined;
  /** Starts the chain as a fork of Base or Ethereum at this RPC URL. Without `kms` the contracts are deployed anew. */
  readonly forkUrl?: string | undefined;
  /** Records what the fork asks at `forkUrl` in this file, for `replay`. */
  readonly record?: string | undefined;
  /** Forks the chain that such a file recorded, without its endpoint. A question that it does not answer is an error. */
  readonly replay?: string | undefined;
  /** The block to fork. @default "latest" */
  readonly forkBlock?: ForkBlock | undefined;
  /**
   * Address of a DstackKms on the forked chain, to use instead of a new one. The world deploys nothing and allows no OS
   * image. As the impersonated owner of the KMS it publishes the key of the mock KMS, on the fork alone.
   *
   * @default the KMS of `adopt`
   */
  readonly kms?: Address | undefined;
  /**
   * CVMs of apps of that KMS, which the mock cloud takes over with their nodes and OS images: see `readAdoptedCvms`. A
   * world with a state file takes them over at its first start.
   */
  readonly adopt?: AdoptedCvms | undefined;
  /**
   * A transaction that is signed for the id of a real chain is valid there too. An id that no chain has rules that out.
   * Without a fork, Ethereum's id, 1, gives the chain Ethereum's rules instead of Base's.
   *
   * @default the forked chain's, or 8453, Base's
   */
  readonly chainId?: number | undefined;
  /**
   * Milliseconds from one block to the next, 200 on Base. Transactions wait for the next block, and the blocks of one
   * second have the same timestamp. With 0 only `chain.client.mine` makes blocks. A chain that mines by timer cannot be
   * repeated, so this excludes `stateFile`.
   *
   * @default each transaction is mined at once, in a block of its own
   */
  readonly blockTimeMs?: number | undefined;
  /** Age of the blocks that the tag `safe` names, in seconds on the world's clock. About 73 on Base. @default 0 */
  readonly safeLagSeconds?: number | undefined;
  /** The same for `finalized`, about 1,235 on Base. @default `safeLagSeconds` */
  readonly finalizedLagSeconds?: number | undefined;
  /**
   * Keeps the whole world on disk: the cloud in this file, the API key and the chain's history in `<stateFile>.world`.
   *
   * @default none: the world is in memory only
   */
  readonly stateFile?: string | undefined;
  /** Options of the mock cloud, such as its port. */
  readonly cloud?: WorldCloudOptions | undefined;
  /** Whether to create the two initial CVMs. @default true, but false with `kms` or `adopt` */
  readonly cvms?: boolean | undefined;
  /**
   * Deploys the published Safe contracts and a Safe, and makes the Safe the owner of the on-chain app. Needs the npm
   * package with that release. A world with a state file keeps its Safe.
   *
   * @default none
   */
  readonly safe?: WorldSafeOptions | undefined;
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
  /**
   * Owner of the KMS and, without a Safe, of the app of the on-chain CVM. Its account is funded. It owns nothing of a
   * live KMS and its apps.
   */
  readonly owner: HDAccount;
  readonly ownerClient: OwnerClient;
  readonly cloudClient: CloudClient;
  /** The cloud's nodes, unless it adopted CVMs with their own nodes. */
  readonly nodes: typeof worldNodes;
  /** The cloud's OS images, unless it adopted CVMs with their own images. */
  readonly osImages: typeof worldOsImages;
  readonly cvms: WorldCvms;
  /** The CVMs that the cloud took over, as they were then. */
  readonly adopted: AdoptedCvms | undefined;
  /** OS images of adopted CVMs that the KMS does not allow. These CVMs would not boot again. */
  readonly refusedOsImages: readonly WorldOsImage[];
  /** The block that was forked. Undefined without a fork. */
  readonly forkedBlock: bigint | undefined;
  /** What the fork asked, with `record` or `replay`. */
  readonly recording: RpcRecording | undefined;
  /** Why updates cannot find on chain which key signs app keys. */
  readonly unprovable: string | undefined;
  /** Owner of the app of the on-chain CVM, if the world was started with one. */
  readonly safe: WorldSafe | undefined;
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
  const { chainPort, stateFile, signal, allowedHosts, allowedOrigins, blockTimeMs, record, replay } = parameters;
  const lags = parseLags(parameters);
  const liveKms = parseLiveKms(parameters);
  const { cvms: withCvms = liveKms === undefined } = parameters;
  if (parameters.safe !== undefined) requireSafeOptions(parameters.safe);
  const guard = { allowedHosts, allowedOrigins };
  const teardown = new Teardown();
  try {
    const { forkUrl, recording } = await openForkSource({ forkUrl: parameters.forkUrl, record, replay });
    if (recording !== undefined) teardown.add(() => recording.close());
    const wanted = { ...parameters, forkUrl, kms: liveKms };
    const state = await openWorldState({ stateFile, describeChain: () => describeChain(wanted) });
    teardown.add(() => state.close());
    const chain = await startChain({
      ...{ ...guard, port: chainPort, lags, record: state.record },
      ...toChain(state.chain, wanted),
      allowsEqualTimestamps: blockTimeMs !== undefined,
    });
    teardown.add(() => chain.close());
    signal?.throwIfAborted();

    const { rpcUrl } = chain;
    const owner = devAccount(0);
    const ownerClient = createOwnerClient({ rpcUrl, chain: chain.client.chain, owner });
    const adopted = adoptOnce(state, parameters);
    const live =
      liveKms && (await findLiveKms(chain.client, { kms: liveKms, forkedId: forkedIdOf(state.chain), adopted }));
    const contracts = live?.contracts ?? state.contracts ?? (await (parameters.deploy ?? deployContracts)(ownerClient));
    const { kms } = contracts;
    if (live === undefined) {
      await allowOsImages(ownerClient, kms, await findRefusedOsImages(ownerClient, kms, worldOsImages));
    }
    if (state.contracts === undefined) state.noteContracts(contracts);
    signal?.throwIfAborted();

    const { apiKey } = state;
    const { cloud, cloudClient, kmsPublicKey } = await startCloud({
      apiKey,
      chainId: chain.id,
      kms,
      rpcUrl,
      transport: chain.transport,
      stateFile,
      adopted,
      options: syncClock(chain.client, { ...guard, ...parameters.cloud }, chain.withoutTimer),
    });
    teardown.add(() => cloud.close());
    const publication = { kms, publicKey: kmsPublicKey };
    const unprovable = live && (await publishOnDevChain(chain.client, publication));
    if (live === undefined) await publishKmsKey(ownerClient, publication);
    // An adopted CVM may have the name of an initial one.
    const isBare = live !== undefined && !withCvms;
    const cvms = isBare ? {} : await seedCvms({ state, cloud: cloudClient, owner: ownerClient, withCvms, signal });
    const appId = cvms.onChain?.appId;
    const safe = await openSafe({ state, client: ownerClient, appId, options: parameters.safe });
    // From here on, because each transaction of the set-up would wait for the timer.
    if (blockTimeMs !== undefined) await mineEvery(chain.client, blockTimeMs);
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
      adopted,
      recording,
      forkedBlock: state.chain.kind === "fork" ? BigInt(state.chain.blockNumber) : undefined,
      refusedOsImages: live?.refusedOsImages ?? [],
      unprovable,
      safe,
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

/** A hundred years. */
const longestLag = 3_153_600_000;
/** The numbers of a new chain, and the least and the most that each can be. */
const settings = [
  // The most that common wallets accept.
  { name: "chainId", what: "A chain id", least: 1, most: 4_503_599_627_370_476, nextStep: "Change `chainId`." },
  { name: "blockTimeMs", what: "A block time in ms", least: 0, most: 3_600_000, nextStep: "Change `blockTimeMs`." },
  ...(["safeLagSeconds", "finalizedLagSeconds"] as const).map((name) => ({
    ...{ name, what: "The age of a block in seconds", least: 0, most: longestLag },
    nextStep: "Change `safeLagSeconds` or `finalizedLagSeconds`.",
  })),
] as const;

/** @throws InvalidArgumentError for settings that no chain can have */
function parseLags(parameters: StartWorldParameters): TagLags {
  for (const { name, what, least, most, nextStep } of settings) {
    const value = parameters[name] ?? least;
    if (Number.isSafeInteger(value) && value >= least && value <= most) continue;
    throw new InvalidArgumentError(`${what} is a whole number from ${least} to ${most}.`, { nextStep });
  }
  const { safeLagSeconds: safe = 0, finalizedLagSeconds: finalized = safe, blockTimeMs, stateFile } = parameters;
  if (finalized < safe) {
    throw new InvalidArgumentError("A block cannot be final before it is safe.", {
      nextStep: "Set `finalizedLagSeconds` to at least `safeLagSeconds`.",
    });
  }
  if (blockTimeMs !== undefined && stateFile !== undefined) {
    throw new InvalidArgumentError(
      "A chain with a state file cannot mine by timer, because it could not be repeated.",
      {
        nextStep: "Use either `stateFile` or `blockTimeMs`.",
      },
    );
  }
  return { safe, finalized };
}

/** @throws InvalidArgumentError if only a fork could have this KMS and these CVMs */
function parseLiveKms({ forkUrl, replay, forkBlock, kms, adopt }: StartWorldParameters): Address | undefined {
  const [needsFork] = Object.entries({ forkBlock, kms, adopt }).flatMap(([name, value]) => (value ? name : []));
  if (forkUrl === undefined && replay === undefined && needsFork !== undefined) {
    throw new InvalidArgumentError(`\`${needsFork}\` needs \`forkUrl\`: only a fork has a live chain's contracts.`, {
      nextStep: "Give the RPC URL of the chain.",
    });
  }
  if (adopt !== undefined) requireAdoptable(adopt);
  const address = kms ?? adopt?.kms;
  return address && parseAddress("The KMS address", address);
}

/**
 * The CVMs that this world adopts, or adopted at its first start.
 *
 * @throws InvalidArgumentError if the world exists and has other CVMs
 */
function adoptOnce(state: WorldState, { stateFile, adopt }: StartWorldParameters): AdoptedCvms | undefined {
  const idsOf = ({ cvms }: AdoptedCvms) => cvms.map(({ id }) => id).sort();
  const { adopted: known, contracts } = state;
  if (adopt === undefined || (known !== undefined && String(idsOf(known)) === String(idsOf(adopt)))) return known;
  if (known !== undefined || contracts !== undefined) {
    const had = known === undefined ? "no CVMs" : idsOf(known).join(", ");
    throw new InvalidArgumentError(
      `The world in ${stateFile} adopted ${had} at its first start, so it cannot adopt ${idsOf(adopt).join(", ")}.`,
      { nextStep: "Start it without `adopt`, or use another state file.", context: { stateFile } },
    );
  }
  state.noteAdopted(adopt);
  return adopt;
}

function forkedIdOf(chain: ChainDescription): number {
  return chain.kind === "fork" ? chain.forkedId : chain.id;
}

async function describeChain(wanted: StartWorldParameters): Promise<ChainDescription> {
  const { forkUrl, forkBlock, signal, chainId, kms } = wanted;
  const genesis = new Date().toISOString();
  if (forkUrl === undefined) return { kind: "local", genesis, id: chainId ?? baseChainId };
  const { blockNumber, hardfork, chainId: forkedId } = await findForkPoint({ url: forkUrl, block: forkBlock, signal });
  const id = chainId ?? forkedId;
  return { kind: "fork", genesis, id, forkedId, blockNumber: blockNumber.toString(), hardfork, kms };
}

/** @throws InvalidArgumentError if the state is that of another chain */
function toChain(
  chain: ChainDescription,
  { forkUrl, forkBlock, stateFile, chainId, kms }: StartWorldParameters,
): Pick<StartChainParameters, "chainId" | "fork"> {
  const isKind = chain.kind === (forkUrl === undefined ? "local" : "fork");
  if (!isKind || chain.id !== (chainId ?? (chain.kind === "fork" ? chain.forkedId : baseChainId))) {
    throw otherChain(stateFile, chain);
  }
  if (chain.kind !== "fork" || forkUrl === undefined) return { chainId: chain.id };
  const { id, forkedId, hardfork, kms: knownKms } = chain;
  const blockNumber = BigInt(chain.blockNumber);
  const isOtherBlock = typeof forkBlock === "bigint" && forkBlock !== blockNumber;
  if (isOtherBlock || kms !== knownKms) throw otherChain(stateFile, chain);
  return { chainId: id, fork: { url: forkUrl, chainId: forkedId, blockNumber, hardfork } };
}
