import { randomBytes } from "node:crypto";
import { type HDAccount, type Hex, toHex } from "viem";
import { addComposeHash } from "../../../src/chain/add-compose-hash.ts";
import { addDevice } from "../../../src/chain/add-device.ts";
import { deployApp } from "../../../src/chain/deploy-app.ts";
import { removeComposeHash } from "../../../src/chain/remove-compose-hash.ts";
import { removeDevice } from "../../../src/chain/remove-device.ts";
import { setAllowAnyDevice } from "../../../src/chain/set-allow-any-device.ts";
import { waitForReceipt } from "../../../src/chain/transactions/receipt.ts";
import { getAppEncryptionKey } from "../../../src/cloud/get-app-encryption-key.ts";
import { getComposeFile } from "../../../src/cloud/get-compose-file.ts";
import { getCvm } from "../../../src/cloud/get-cvm.ts";
import { type CvmDetail20251028, cvmDetail20251028Schema } from "../../../src/cloud/protocol.ts";
import type { AppCompose } from "../../../src/core/app-compose.ts";
import { type EnvironmentVariable, encryptEnvironment } from "../../../src/core/environment.ts";
import { deployedApp } from "../../../src/core/events.ts";
import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  parseComposeHash,
  parseDeviceId,
  type TransactionHash,
} from "../../../src/core/ids.ts";
import type { MockCloudEvent } from "../../../src/mock-cloud/index.ts";
import { devAccount } from "../../../src/world/chain/client.ts";
import { launchCvm, launchOffChainCvm } from "../../../src/world/cvms.ts";
import { type StartWorldParameters, startWorld, type World } from "../../../src/world/start-world.ts";

type RequestDone = Extract<MockCloudEvent, { type: "request" }>;

/** Where the policy of a CVM's app is: in a contract on the world's chain, or only in the cloud. */
export type KmsKind = "on-chain" | "off-chain";

/** A CVM at the start of an operation: running, with the compose file and environment below. */
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

/** One world, and the functions of the operations apart from the clients. Cells of one lane run one after another. */
export interface Lane {
  readonly world: World;
  /** Private key of the apps' owner, a well-known test account. */
  readonly ownerKey: Hex;
  /** Private key of a funded account that owns nothing. */
  readonly strangerKey: Hex;
  createCvm(kms: KmsKind): Promise<TestCvm>;
  /** The same CVM at every call, for operations that change nothing. */
  standingCvm(kms: KmsKind): Promise<TestCvm>;
  /** Finds a CVM by any identifier. Its environment may differ from the one below. */
  findCvm(identifier: string, kms: KmsKind): Promise<TestCvm>;
  /** As the API describes it at 2025-10-28, the version that names its size in numbers. */
  readCvm(cvm: TestCvm): Promise<CvmDetail20251028>;
  readDocument(cvm: TestCvm): Promise<AppCompose>;
  /** Deploys the app of a planned CVM with the owner's key, and encrypts to the new app's key. */
  deployPlanned(
    planned: { readonly compose_hash: string; readonly device_id: string },
    environment: readonly EnvironmentVariable[],
  ): Promise<{ readonly appId: AppId; readonly encryptedEnv: string }>;
  /** Encrypts to the app's key. */
  encrypt(cvm: TestCvm, environment: readonly EnvironmentVariable[]): Promise<string>;
  /** Registers a hash, with or without `0x`, with the owner's key. */
  registerHash(cvm: TestCvm, composeHash: string): Promise<TransactionHash>;
  withdrawHash(cvm: TestCvm, composeHash: string): Promise<TransactionHash>;
  allowDevice(cvm: TestCvm, deviceId: DeviceId): Promise<TransactionHash>;
  disallowDevice(cvm: TestCvm, deviceId: DeviceId): Promise<TransactionHash>;
  allowAnyDevice(cvm: TestCvm, allowed: boolean): Promise<TransactionHash>;
  /** Resolves when the cloud has answered the next such request. */
  untilAnswered(isWanted: (request: RequestDone) => boolean): Promise<void>;
  /** Status of the last answer to a request whose path ends so. */
  lastAnswer(path: string): number | undefined;
  close(): Promise<void>;
}

export async function startLane(parameters: StartWorldParameters = {}): Promise<Lane> {
  const answered = new Set<(request: RequestDone) => void>();
  const answers: RequestDone[] = [];
  const onEvent = (event: MockCloudEvent) => {
    if (event.type !== "request") return;
    answers.push(event);
    for (const tell of answered) tell(event);
  };
  const world = await startWorld({ ...parameters, cvms: false, cloud: { rolloverMs: 20, deviceLogin: true, onEvent } });
  const standing = new Map<KmsKind, Promise<TestCvm>>();

  const lane: Lane = {
    world,
    ownerKey: keyOf(world.owner),
    strangerKey: keyOf(devAccount(7)),
    createCvm: (kms) => (kms === "on-chain" ? createOnChain() : createOffChain()),
    standingCvm: (kms) => {
      const cvm = standing.get(kms) ?? lane.createCvm(kms);
      standing.set(kms, cvm);
      return cvm;
    },
    findCvm: async (identifier, kms) => {
      await world.cloud.whenIdle();
      return describe(identifier, kms);
    },
    readCvm: async ({ id }) => {
      const reply = await world.cloudClient.request({ method: "GET", path: `/cvms/${id}`, apiVersion: "2025-10-28" });
      return cvmDetail20251028Schema.parse(JSON.parse(reply.text));
    },
    readDocument: ({ id }) => getComposeFile(world.cloudClient, { cvm: id }),
    deployPlanned: async ({ compose_hash, device_id }, environment) => {
      const { kms } = world.contracts;
      const transactionHash = await mined(
        "deployAndRegisterApp",
        deployApp(world.ownerClient, {
          kms,
          owner: world.owner.address,
          composeHash: parseComposeHash(compose_hash),
          deviceId: parseDeviceId(device_id),
        }),
      );
      const receipt = await waitForReceipt(world.ownerClient, {
        transactionHash,
        functionName: "deployAndRegisterApp",
      });
      const appId = deployedApp(receipt, { kms });
      const { publicKey } = await getAppEncryptionKey(world.cloudClient, { kms: "base", appId });
      return { appId, encryptedEnv: encryptEnvironment(environment, publicKey) };
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
    disallowDevice: (cvm, deviceId) =>
      mined("removeDevice", removeDevice(world.ownerClient, { appId: cvm.appId, deviceId })),
    allowAnyDevice: (cvm, allowAnyDevice) =>
      mined("setAllowAnyDevice", setAllowAnyDevice(world.ownerClient, { appId: cvm.appId, allowAnyDevice })),
    untilAnswered: (isWanted) =>
      new Promise((resolve) => {
        const tell = (request: RequestDone) => {
          if (!isWanted(request)) return;
          answered.delete(tell);
          resolve();
        };
        answered.add(tell);
      }),
    lastAnswer: (path) => answers.findLast((answer) => answer.path.endsWith(path))?.status,
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
      preLaunchScript: "",
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

function keyOf(account: HDAccount): Hex {
  return toHex(account.getHdKey().privateKey ?? new Uint8Array());
}

export function newName(): string {
  return `cvm-${randomBytes(5).toString("hex")}`;
}

function target({ appId }: TestCvm, composeHash: string) {
  return { appId, composeHash: parseComposeHash(composeHash) };
}
