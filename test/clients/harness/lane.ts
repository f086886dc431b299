import { randomBytes } from "node:crypto";
import { type Hex, toHex } from "viem";
import { addComposeHash } from "../../../src/chain/add-compose-hash.ts";
import { addDevice } from "../../../src/chain/add-device.ts";
import { removeComposeHash } from "../../../src/chain/remove-compose-hash.ts";
import { waitForReceipt } from "../../../src/chain/wait-for-receipt.ts";
import { getAppEncryptionKey } from "../../../src/cloud/get-app-encryption-key.ts";
import { getCvm } from "../../../src/cloud/get-cvm.ts";
import { type EnvironmentVariable, encryptEnvironment } from "../../../src/core/environment.ts";
import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  parseComposeHash,
  type TransactionHash,
} from "../../../src/core/ids.ts";
import { launchCvm } from "../../../src/world/launch-cvm.ts";
import { launchOffChainCvm } from "../../../src/world/launch-off-chain-cvm.ts";
import { startWorld, type World } from "../../../src/world/start-world.ts";

/** Where the policy of a CVM's app lives: in a contract on the chain of the world, or in the cloud alone. */
export type KmsKind = "on-chain" | "off-chain";

/** A CVM as the operations find it: running, with the compose file and environment below. */
export interface TestCvm {
  /** `cvm_…` */
  readonly id: string;
  readonly name: string;
  readonly appId: AppId;
  readonly vmUuid: string;
  readonly composeHash: ComposeHash;
  /** Of the node it runs on. */
  readonly deviceId: DeviceId;
  readonly kms: KmsKind;
}

export const firstCompose = "services:\n  app:\n    image: nginx:1.27\n";
export const nextCompose = "services:\n  app:\n    image: nginx:1.28\n";
export const firstEnvironment: readonly EnvironmentVariable[] = [{ key: "MODE", value: "blue" }];

/** One world and what the operations do in it besides calling clients. Cells of one lane run one after another. */
export interface Lane {
  readonly world: World;
  /** Private key of the apps' owner, a well-known test account. */
  readonly ownerKey: Hex;
  createCvm(kms: KmsKind): Promise<TestCvm>;
  /** The same CVM at every call, for operations that change nothing. */
  standingCvm(kms: KmsKind): Promise<TestCvm>;
  /** Encrypts to the app's key. */
  encrypt(cvm: TestCvm, environment: readonly EnvironmentVariable[]): Promise<string>;
  /** As the app's owner would, with or without `0x`. */
  registerHash(cvm: TestCvm, composeHash: string): Promise<TransactionHash>;
  withdrawHash(cvm: TestCvm, composeHash: string): Promise<TransactionHash>;
  allowDevice(cvm: TestCvm, deviceId: DeviceId): Promise<TransactionHash>;
  close(): Promise<void>;
}

export async function startLane(): Promise<Lane> {
  const world = await startWorld({ cvms: false, cloud: { rolloverMs: 20 } });
  const standing = new Map<KmsKind, Promise<TestCvm>>();

  const lane: Lane = {
    world,
    ownerKey: toHex(world.owner.getHdKey().privateKey ?? new Uint8Array()),
    createCvm: (kms) => (kms === "on-chain" ? createOnChain() : createOffChain()),
    standingCvm: (kms) => {
      const cvm = standing.get(kms) ?? lane.createCvm(kms);
      standing.set(kms, cvm);
      return cvm;
    },
    encrypt: async (cvm, environment) => {
      const kms = cvm.kms === "on-chain" ? "base" : "phala";
      const { publicKey } = await getAppEncryptionKey(world.cloudClient, { kms, appId: cvm.appId });
      return encryptEnvironment(environment, publicKey);
    },
    registerHash: (cvm, composeHash) =>
      mined("addComposeHash", addComposeHash(world.ownerClient, target(cvm, composeHash))),
    withdrawHash: (cvm, composeHash) =>
      mined("removeComposeHash", removeComposeHash(world.ownerClient, target(cvm, composeHash))),
    allowDevice: (cvm, deviceId) => mined("addDevice", addDevice(world.ownerClient, { appId: cvm.appId, deviceId })),
    close: () => world.close(),
  };
  return lane;

  async function createOnChain(): Promise<TestCvm> {
    const { id } = await launchCvm({
      cloud: world.cloudClient,
      chain: world.ownerClient,
      owner: world.owner.address,
      name: newName(),
      dockerCompose: firstCompose,
      environment: firstEnvironment,
    });
    return describe(id, "on-chain");
  }

  async function createOffChain(): Promise<TestCvm> {
    const { id } = await launchOffChainCvm({
      cloud: world.cloudClient,
      name: newName(),
      dockerCompose: firstCompose,
      environment: firstEnvironment,
    });
    return describe(id, "off-chain");
  }

  async function describe(id: string, kms: KmsKind): Promise<TestCvm> {
    const cvm = await getCvm(world.cloudClient, { cvm: id });
    const { name, appId, vmUuid, composeHash, deviceId } = cvm;
    if (!appId || !vmUuid || !composeHash || !deviceId) throw new Error(`CVM ${id} is incomplete.`);
    return { id: cvm.id, name, appId, vmUuid, composeHash, deviceId, kms };
  }

  async function mined(functionName: string, sending: Promise<TransactionHash>): Promise<TransactionHash> {
    const transactionHash = await sending;
    await waitForReceipt(world.ownerClient, { transactionHash, functionName });
    return transactionHash;
  }
}

export function newName(): string {
  return `cvm-${randomBytes(5).toString("hex")}`;
}

function target({ appId }: TestCvm, composeHash: string) {
  return { appId, composeHash: parseComposeHash(composeHash) };
}
