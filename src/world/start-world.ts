import { randomBytes } from "node:crypto";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { createClient, type HDAccount, type Hex, http, sha256, stringToHex } from "viem";
import { base } from "viem/chains";
import type { ChainClient } from "../chain/chain-client.ts";
import { waitForReceipt } from "../chain/wait-for-receipt.ts";
import { type CloudClient, createCloudClient } from "../cloud/create-client.ts";
import { type DeviceId, parseDeviceId } from "../core/ids.ts";
import { type EventListener, type RunningMockCloud, startMockCloud } from "../mock-cloud/index.ts";
import { allowOsImage } from "./allow-os-image.ts";
import { type DeployedContracts, deployContracts } from "./deploy-contracts.ts";
import { devAccount } from "./dev-accounts.ts";
import { type LocalChain, startChain } from "./start-chain.ts";

export interface StartWorldParameters {
  readonly hre: HardhatRuntimeEnvironment;
  readonly chainPort?: number | undefined;
  readonly cloudPort?: number | undefined;
  /** Keeps the cloud's state; the chain lives in memory. */
  readonly stateFile?: string | undefined;
  /** How long a CVM is away while it changes over. */
  readonly rolloverMs?: number | undefined;
  readonly onCloudEvent?: EventListener | undefined;
}

/** A chain, the contracts on it and a mock cloud that reads them: everything an update needs. */
export interface World {
  readonly chain: LocalChain;
  readonly contracts: DeployedContracts;
  readonly cloud: RunningMockCloud;
  readonly apiKey: string;
  /** Owner of the KMS and funded; the apps of this world are best its own too. */
  readonly owner: HDAccount;
  /** Speaks to the chain as the owner. */
  readonly ownerClient: ChainClient;
  readonly cloudClient: CloudClient;
  readonly node: { readonly id: number; readonly name: string; readonly deviceId: DeviceId };
  readonly osImage: { readonly name: string; readonly hash: Hex };
  close(): Promise<void>;
}

const node = { id: 1, name: "node-1", deviceId: parseDeviceId(sha256(stringToHex("node-1"))) };
const osImage = { name: "dstack-0.5.7", version: "0.5.7", hash: sha256(stringToHex("dstack-0.5.7")) };

/** Starts a whole world on free ports of this machine. What has started is stopped again if the rest fails. */
export async function startWorld(parameters: StartWorldParameters): Promise<World> {
  const { hre, chainPort, cloudPort, stateFile, rolloverMs, onCloudEvent } = parameters;
  const owner = devAccount(0);
  const apiKey = `phak_${randomBytes(24).toString("hex")}`;
  const started: Array<() => Promise<void>> = [];
  const close = async () => {
    for (const stop of started.splice(0).reverse()) await stop();
  };
  try {
    const chain = await startChain({ hre, ...(chainPort !== undefined && { port: chainPort }) });
    started.push(() => chain.close());
    const { rpcUrl } = chain;
    const contracts = await deployContracts({ hre, chain, owner: owner.address });

    const ownerClient = createClient({ account: owner, chain: base, transport: http(rpcUrl), pollingInterval: 50 });
    const transactionHash = await allowOsImage(ownerClient, { kms: contracts.kms, osImageHash: osImage.hash });
    await waitForReceipt(ownerClient, { transactionHash, functionName: "addOsImageHash" });

    const cloud = await startMockCloud({
      workspaces: [{ name: "local", apiKeys: [{ key: apiKey }] }],
      kms: [
        { slug: "kms-base-1", chainId: base.id, contractAddress: contracts.kms, rpc: rpcUrl },
        { slug: "kms-phala-1" },
      ],
      nodes: [node],
      osImages: [{ name: osImage.name, version: osImage.version, osImageHash: osImage.hash }],
      ...(cloudPort !== undefined && { port: cloudPort }),
      ...(stateFile !== undefined && { stateFile }),
      ...(rolloverMs !== undefined && { rolloverMs }),
      ...(onCloudEvent !== undefined && { onEvent: onCloudEvent }),
    });
    started.push(() => cloud.close());
    const cloudClient = createCloudClient({ apiKey, baseUrl: cloud.baseUrl });
    return { chain, contracts, cloud, apiKey, owner, ownerClient, cloudClient, node, osImage, close };
  } catch (error) {
    await close();
    throw error;
  }
}
