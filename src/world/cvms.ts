import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { deployApp } from "../chain/deploy-app.ts";
import { systemClock } from "../chain/retry.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { createCvm } from "../cloud/create-cvm.ts";
import { type Cvm, parseCvm } from "../cloud/cvm.ts";
import { getAppEncryptionKey } from "../cloud/get-app-encryption-key.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { getCvmState } from "../cloud/get-cvm-state.ts";
import { appList20260121Schema } from "../cloud/protocol.ts";
import { type ProvisionCvmParameters, provisionCvm } from "../cloud/provision-cvm.ts";
import { parseReply } from "../cloud/replies.ts";
import { buildAppCompose } from "../core/app-compose.ts";
import { type EnvironmentVariable, encryptEnvironment } from "../core/environment.ts";
import { deployedApp } from "../core/events.ts";
import type { AppId, ComposeHash, DeviceId, TransactionHash } from "../core/ids.ts";
import { poll } from "../core/retry.ts";
import { RolloverFailedError, RolloverTimeoutError } from "../errors/index.ts";
import type { OwnerClient } from "./chain/client.ts";
import type { SeededCvm, WorldState } from "./state.ts";

/** The CVMs that every new world creates. One is missing if it could not be created or was deleted later. */
export interface WorldCvms {
  /** A CVM whose KMS is a contract on the world's chain. */
  readonly onChain?: WorldCvm;
  /** A CVM whose KMS keeps its policy off chain. */
  readonly offChain?: WorldCvm;
}

export interface WorldCvm extends Pick<Cvm, "id" | "name" | "appId"> {}

const names = { onChain: "onchain-app", offChain: "offchain-app" } as const;

/** Short, but with two parts that a user can change: an image tag and a variable. */
const dockerCompose = `services:
  web:
    image: nginx:1.28
    environment:
      - GREETING
    ports:
      - "80:80"
`;
const environment = [{ key: "GREETING", value: "hello" }];

export interface SeedCvmsParameters {
  readonly state: Pick<WorldState, "isSeeded" | "noteSeeded">;
  readonly cloud: CloudClient;
  /** If undefined, the on-chain CVM is left out, because its app needs an account that deploys it. */
  readonly owner: OwnerClient | undefined;
  readonly withCvms: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Creates the two CVMs in parallel, in a world that never had them. A CVM that was deleted later is not created again.
 * A CVM that an interrupted start created is kept.
 */
export async function seedCvms(parameters: SeedCvmsParameters): Promise<WorldCvms> {
  const { state, cloud, withCvms } = parameters;
  if (withCvms) {
    const known = await findCvms(cloud);
    const launches = launchers(parameters).map(async ([cvm, launch]) => {
      if (state.isSeeded(cvm)) return;
      if (known[cvm] === undefined) await launch();
      state.noteSeeded(cvm);
    });
    // Wait for both, even if one fails: no launch may continue while the world closes.
    const failed = (await Promise.allSettled(launches)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }
  return findCvms(cloud);
}

function launchers(parameters: SeedCvmsParameters): Array<[SeededCvm, () => Promise<unknown>]> {
  const { cloud, owner, signal } = parameters;
  const common = { cloud, dockerCompose, environment, signal };
  const offChain = () => launchOffChainCvm({ ...common, name: names.offChain });
  if (owner === undefined) return [["offChain", offChain]];
  const { account, chain } = owner;
  const kmsType = chain.id === 1 ? "ethereum" : "base";
  const onChain = () => launchCvm({ ...common, chain: owner, owner: account.address, name: names.onChain, kmsType });
  return [
    ["offChain", offChain],
    ["onChain", onChain],
  ];
}

async function findCvms(cloud: CloudClient): Promise<WorldCvms> {
  const [onChain, offChain] = await Promise.all([find(cloud, names.onChain), find(cloud, names.offChain)]);
  return { ...(onChain && { onChain }), ...(offChain && { offChain }) };
}

/** Finds the oldest CVM with this name. Replicas share the name. */
async function find(cloud: CloudClient, name: string): Promise<WorldCvm | undefined> {
  const apiVersion = "2026-01-21";
  const reply = await cloud.request({ method: "GET", path: `/apps?search=${name}&page_size=1000`, apiVersion });
  const { dstack_apps: apps } = parseReply(reply, (body) => appList20260121Schema.parse(body));
  const found = apps.flatMap(({ cvms }) => cvms).find((cvm) => cvm.name === name);
  if (found === undefined) return undefined;
  const { id, appId } = parseCvm(found, apiVersion);
  return { id, name, appId };
}

export interface LaunchCvmParameters {
  readonly cloud: CloudClient;
  /** Its account will own the app. */
  readonly chain: ChainClient;
  readonly owner: Address;
  readonly name: string;
  readonly dockerCompose: string;
  /** `""` for none. @default the one that the cloud gives to a CVM without a script */
  readonly preLaunchScript?: string | undefined;
  readonly environment?: readonly EnvironmentVariable[];
  /** Type of the on-chain KMS. @default "base" */
  readonly kmsType?: Exclude<ProvisionCvmParameters["kmsType"], "phala">;
  readonly signal?: AbortSignal | undefined;
}

export interface LaunchedCvm {
  readonly id: string;
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly deviceId: DeviceId;
  readonly deployment: { readonly transactionHash: TransactionHash; readonly gasUsed: bigint };
}

/**
 * Creates a CVM on an on-chain KMS: reserves a place, deploys the app through the KMS factory with its first hash and
 * device, creates the CVM and waits until it runs. Only for a cloud that you run yourself: it encrypts the environment
 * to the key that the cloud names, without proof that a KMS signed it.
 *
 * @example
 * import { launchCvm } from "dstack-toolkit/world";
 * import { account, client, cloud, dockerCompose } from "./app.js";
 * const cvm = await launchCvm({ cloud, chain: client, owner: account.address, name: "my-app", dockerCompose });
 */
export async function launchCvm(parameters: LaunchCvmParameters): Promise<LaunchedCvm> {
  const { cloud, chain, owner, name, environment = [], kmsType = "base", signal } = parameters;
  const { dockerCompose, preLaunchScript } = parameters;
  const environmentNames = environment.map(({ key }) => key);
  const appCompose = buildAppCompose({ name, dockerCompose, preLaunchScript, allowedEnvs: environmentNames });
  const { composeHash, deviceId, kms } = await provisionCvm(cloud, { name, appCompose, kmsType, environmentNames });
  if (kms?.contractAddress === undefined || deviceId === undefined) {
    throw new TypeError("The cloud returned no on-chain KMS for this CVM.");
  }

  const transactionHash = await deployApp(chain, { kms: kms.contractAddress, owner, deviceId, composeHash });
  const receipt = await waitForReceipt(chain, { transactionHash, functionName: "deployAndRegisterApp" });
  const appId = deployedApp(receipt, { kms: kms.contractAddress });

  const { publicKey } = await getAppEncryptionKey(cloud, { kms: kms.id, appId });
  const { id } = await createCvm(cloud, {
    appId,
    composeHash,
    encryptedEnvironment: encryptEnvironment(environment, publicKey),
    environmentNames,
    kms: kms.id,
    contractAddress: appId,
    deployerAddress: owner,
  });
  await waitUntilRunning(cloud, { cvm: id, signal });
  return { id, appId, composeHash, deviceId, deployment: { transactionHash, gasUsed: receipt.gasUsed } };
}

export interface LaunchOffChainCvmParameters {
  readonly cloud: CloudClient;
  readonly name: string;
  readonly dockerCompose: string;
  readonly environment?: readonly EnvironmentVariable[];
  readonly signal?: AbortSignal | undefined;
}

export interface LaunchedOffChainCvm {
  readonly id: string;
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
}

/**
 * Creates a CVM whose KMS keeps its policy off chain, and waits until it runs. Only for a cloud that you run yourself,
 * like `launchCvm`.
 *
 * @example
 * import { launchOffChainCvm } from "dstack-toolkit/world";
 * import { cloud, dockerCompose } from "./app.js";
 * const cvm = await launchOffChainCvm({ cloud, name: "my-app", dockerCompose });
 */
export async function launchOffChainCvm(parameters: LaunchOffChainCvmParameters): Promise<LaunchedOffChainCvm> {
  const { cloud, name, dockerCompose, environment = [], signal } = parameters;
  const environmentNames = environment.map(({ key }) => key);
  const appCompose = buildAppCompose({ name, dockerCompose, allowedEnvs: environmentNames });
  const provisioned = await provisionCvm(cloud, { name, appCompose, kmsType: "phala", environmentNames });
  const { composeHash, appId, encryptionPublicKey } = provisioned;
  if (appId === undefined || encryptionPublicKey === undefined) {
    throw new TypeError("The cloud returned no app id for this CVM.");
  }
  const encryptedEnvironment = encryptEnvironment(environment, encryptionPublicKey);
  const { id } = await createCvm(cloud, { appId, composeHash, encryptedEnvironment, environmentNames });
  await waitUntilRunning(cloud, { cvm: id, signal });
  return { id, appId, composeHash };
}

export interface WaitUntilRunningParameters {
  readonly cvm: string;
  readonly signal?: AbortSignal | undefined;
}

/** @throws RolloverFailedError if the CVM ends in another state, RolloverTimeoutError */
export async function waitUntilRunning(cloud: CloudClient, { cvm, signal }: WaitUntilRunningParameters): Promise<void> {
  let status = "unknown";
  const limits = {
    everyMs: 50,
    timeoutMs: 900_000,
    mayPass: () => false,
    onTimeout: (waitedMs: number) => new RolloverTimeoutError(cvm, status, waitedMs, undefined),
  };
  await poll({ clock: systemClock, signal }, limits, async () => {
    const latest = await getCvm(cloud, { cvm });
    status = latest.status;
    if (latest.busy) return undefined;
    if (status === "running") return latest;
    const { bootError } = await getCvmState(cloud, { cvm });
    throw new RolloverFailedError(cvm, bootError ?? `its status is ${status}`, undefined);
  });
}
