import { type Address, sha256, stringToHex, type Transport } from "viem";
import { type CloudClient, createCloudClient } from "../cloud/create-client.ts";
import { type DeviceId, type Hex, parseDeviceId } from "../core/ids.ts";
import {
  type MockCloudSeed,
  type RunningMockCloud,
  type StartMockCloudOptions,
  startMockCloud,
} from "../mock-cloud/index.ts";
import type { AdoptedCvms } from "./adopted-cvms.ts";
import { ChainSnapshots, createClockMover, type LocalChainClient } from "./chain/client.ts";
import type { Mining } from "./chain/mining.ts";
import { whileListening } from "./teardown.ts";

/** Options that a world passes to its cloud. The world itself provides the seed. */
export type WorldCloudOptions = Omit<StartMockCloudOptions, keyof MockCloudSeed | "stateFile">;

export interface StartCloudParameters {
  readonly apiKey: string;
  readonly chainId: number;
  readonly kms: Address;
  readonly rpcUrl: string;
  /** The backend's connection to the chain. @default HTTP to `rpcUrl` */
  readonly transport?: Transport | undefined;
  readonly stateFile: string | undefined;
  readonly options: WorldCloudOptions;
  /** Its nodes, OS images and CVMs take the place of the world's own nodes and images. */
  readonly adopted?: AdoptedCvms | undefined;
}

export interface WorldCloud {
  readonly cloud: RunningMockCloud;
  readonly cloudClient: CloudClient;
  /** The key with which the KMS on the chain signs app keys. Compressed secp256k1, 33 bytes. */
  readonly kmsPublicKey: Hex;
}

/** Starts a mock cloud with one workspace, one KMS on the chain, one off chain, nodes and OS images. */
export async function startCloud(parameters: StartCloudParameters): Promise<WorldCloud> {
  const { apiKey, chainId, kms, rpcUrl, transport: rpc = rpcUrl, stateFile, options, adopted } = parameters;
  const slug = chainId === 1 ? "kms-ethereum-1" : "kms-base-1";
  const start = () =>
    startMockCloud({
      // Long enough for a client to see that the CVM is busy. The default of one second is long for a test.
      rolloverMs: 50,
      ...options,
      workspaces: [{ name: "local", apiKeys: [{ key: apiKey }] }],
      kms: [{ slug, chainId, contractAddress: kms, rpc, localRpcUrl: rpcUrl }, { slug: "kms-phala-1" }],
      ...(adopted === undefined ? ownPlatform : seedOf(adopted, slug)),
      ...(stateFile !== undefined && { stateFile }),
    });
  const cloud = await whileListening(start);
  const cloudClient = createCloudClient({ apiKey, baseUrl: cloud.baseUrl });
  return { cloud, cloudClient, kmsPublicKey: cloud.kmsPublicKey(slug) };
}

function seedOf({ nodes, cvms }: AdoptedCvms, kms: string): MockCloudSeed {
  const nameOf = new Map(nodes.map(({ name, deviceId }) => [deviceId, name]));
  const images = new Map(cvms.map(({ osImage }) => [osImage.name, osImage]));
  return {
    nodes: nodes.map((each, index) => ({ id: index + 1, ...each })),
    osImages: [...images.values()].map(toSeed),
    cvms: cvms.map(({ deviceId, osImage, ...cvm }) => ({
      ...cvm,
      ...{ kms, node: nameOf.get(deviceId) ?? "", osImage: osImage.name },
    })),
  };
}

function toSeed({ name, version, hash, isDev }: WorldOsImage) {
  return { name, version, osImageHash: hash, isDev };
}

/** Keeps the chain's time and state equal to the cloud's: a change of the cloud also changes the chain. */
export function syncClock(
  client: LocalChainClient,
  options: WorldCloudOptions,
  withoutTimer?: Mining["withoutTimer"],
): WorldCloudOptions {
  const snapshots = new ChainSnapshots(client, withoutTimer);
  const advanceChain = createClockMover(client);
  return {
    ...options,
    onAdvance: async (milliseconds) => {
      await advanceChain(milliseconds);
      await options.onAdvance?.(milliseconds);
    },
    onSnapshot: async (name) => {
      await snapshots.take(name);
      await options.onSnapshot?.(name);
    },
    onRestore: async (name) => {
      await snapshots.restore(name);
      await options.onRestore?.(name);
    },
  };
}

/** A machine that runs CVMs. */
export interface WorldNode {
  readonly id: number;
  readonly name: string;
  readonly deviceId: DeviceId;
}

/** A guest operating system that CVMs boot. */
export interface WorldOsImage {
  readonly name: string;
  readonly version: string;
  readonly hash: Hex;
  readonly isDev: boolean;
}

export const worldNodes = [node(1, "node-1"), node(2, "node-2")] as const;

/** A new CVM boots the first image if the request names none. */
export const worldOsImages = [
  osImage("dstack-0.5.7", "0.5.7"),
  osImage("dstack-0.5.6", "0.5.6"),
  { ...osImage("dstack-dev-0.5.7", "0.5.7"), isDev: true },
] as const;

const ownPlatform: MockCloudSeed = { nodes: worldNodes, osImages: worldOsImages.map(toSeed) };

function node(id: number, name: string): WorldNode {
  return { id, name, deviceId: parseDeviceId(sha256(stringToHex(name))) };
}

function osImage(name: string, version: string): WorldOsImage {
  return { name, version, hash: sha256(stringToHex(name)), isDev: false };
}

/** The environment variables that the official clients (CLI, JS, Python, Go) and this toolkit's tasks read. */
export interface ClientEnvironment {
  readonly PHALA_CLOUD_API_PREFIX: string;
  readonly PHALA_CLOUD_API_KEY: string;
  readonly ETH_RPC_URL: string;
  /** The DstackKms that publishes the key which signs the keys that environments are encrypted to. */
  readonly DSTACK_KMS: Hex;
  /** Set only for a dev account, whose key is public. */
  readonly PRIVATE_KEY?: Hex;
}

export interface ClientEnvironmentParameters {
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly rpcUrl: string;
  readonly kms: Hex;
  readonly privateKey?: Hex | undefined;
}

export function clientEnvironment(parameters: ClientEnvironmentParameters): ClientEnvironment {
  const { baseUrl, apiKey, rpcUrl, kms, privateKey } = parameters;
  return {
    PHALA_CLOUD_API_PREFIX: baseUrl,
    PHALA_CLOUD_API_KEY: apiKey,
    ETH_RPC_URL: rpcUrl,
    DSTACK_KMS: kms,
    ...(privateKey !== undefined && { PRIVATE_KEY: privateKey }),
  };
}
