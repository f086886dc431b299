import type { Address } from "viem";
import { type CloudClient, createCloudClient } from "../cloud/create-client.ts";
import type { Hex } from "../core/ids.ts";
import {
  type MockCloudSeed,
  type RunningMockCloud,
  type StartMockCloudOptions,
  startMockCloud,
} from "../mock-cloud/index.ts";
import { whileListening } from "./listen-error.ts";
import { worldNodes, worldOsImages } from "./platform.ts";

/** What a world passes on to its cloud; it seeds the cloud itself. */
export type WorldCloudOptions = Omit<StartMockCloudOptions, keyof MockCloudSeed | "stateFile">;

export interface StartCloudParameters {
  readonly apiKey: string;
  readonly chainId: number;
  readonly kms: Address;
  readonly rpcUrl: string;
  readonly stateFile: string | undefined;
  readonly options: WorldCloudOptions;
}

export interface WorldCloud {
  readonly cloud: RunningMockCloud;
  readonly cloudClient: CloudClient;
  /** What the KMS on the chain signs app keys with. Compressed secp256k1, 33 bytes. */
  readonly kmsPublicKey: Hex;
}

/** Starts a mock cloud with one workspace, one KMS on the chain, one off chain, nodes and OS images. */
export async function startCloud(parameters: StartCloudParameters): Promise<WorldCloud> {
  const { apiKey, chainId, kms, rpcUrl, stateFile, options } = parameters;
  const slug = chainId === 1 ? "kms-ethereum-1" : "kms-base-1";
  const start = () =>
    startMockCloud({
      // A second is long for a test and short for a person; either may say so.
      rolloverMs: 300,
      ...options,
      workspaces: [{ name: "local", apiKeys: [{ key: apiKey }] }],
      kms: [{ slug, chainId, contractAddress: kms, rpc: rpcUrl }, { slug: "kms-phala-1" }],
      nodes: worldNodes,
      osImages: worldOsImages.map(({ name, version, hash, isDev }) => ({ name, version, osImageHash: hash, isDev })),
      ...(stateFile !== undefined && { stateFile }),
    });
  const cloud = await whileListening(start);
  const cloudClient = createCloudClient({ apiKey, baseUrl: cloud.baseUrl });
  return { cloud, cloudClient, kmsPublicKey: cloud.kmsPublicKey(slug) };
}
