import { randomBytes } from "node:crypto";
import { createClient, encryptEnvVars } from "@phala/cloud";
import { type Address, custom, type Transport } from "viem";
import { addComposeHash } from "../../../src/chain/add-compose-hash.ts";
import { deployApp } from "../../../src/chain/deploy-app.ts";
import { waitForReceipt } from "../../../src/chain/transactions/receipt.ts";
import { deployedApp } from "../../../src/core/events.ts";
import {
  type AppId,
  type ComposeHash,
  parseAppId,
  parseComposeHash,
  type TransactionHash,
  withoutPrefix,
} from "../../../src/core/ids.ts";
import {
  type MockCloudEvent,
  type RunningMockCloud,
  type StartMockCloudOptions,
  startMockCloud,
} from "../../../src/mock-cloud/index.ts";
import { type Dstack, deployDstack, type OpConnection } from "../chain/deploy-dstack.ts";

export const apiKey = "key-of-the-integration-tests";
export const dockerCompose = "services:\n  app:\n    image: nginx:1\n";

/** Contracts on a fresh chain and a mock cloud that watches it, listening on a port of its own. */
export interface CloudWorld {
  readonly dstack: Dstack;
  readonly cloud: RunningMockCloud;
  /** Everything the cloud reported, in order. */
  readonly events: MockCloudEvent[];
}

/** A mock cloud in this process or another. */
export type AnyCloud = Pick<RunningMockCloud, "baseUrl"> & Partial<Pick<RunningMockCloud, "whenIdle">>;

/** A CVM that was created through the API. */
export interface TestCvm {
  readonly id: string;
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
}

/** The KMS, node and image the cloud knows by default; no app allows node 2's device, and node 3's TCB is out of date. */
export function platformOf(
  dstack: Dstack,
  rpc: Transport = custom(dstack.connection.provider, { retryCount: 0 }),
): StartMockCloudOptions {
  return {
    workspaces: [{ name: "Test", apiKeys: [{ key: apiKey, username: "tess", email: "tess@example.com" }] }],
    kms: [{ slug: "kms-phala-1" }, { slug: "kms-base-1", chainId: 8453, contractAddress: dstack.kms, rpc }],
    nodes: [
      { id: 1, name: "node-1", deviceId: dstack.deviceId },
      { id: 2, name: "node-2", deviceId: "ee".repeat(32) },
      { id: 3, name: "node-3", deviceId: dstack.deviceId, tcbStatus: "OutOfDate", advisoryIds: ["INTEL-SA-00837"] },
    ],
    osImages: [
      { name: "dstack-0.5.7", version: "0.5.7", osImageHash: dstack.osImageHash },
      { name: "dstack-0.5.8", version: "0.5.8", osImageHash: "08".repeat(32) },
    ],
    rolloverMs: 0,
    bootRetryMs: 10,
    finalityPollMs: 10,
    receiptAttempts: 2,
    receiptRetryMs: 10,
  };
}

export async function startCloudWorld(
  connection: OpConnection,
  options: StartMockCloudOptions & { readonly rpc?: Transport } = {},
): Promise<CloudWorld> {
  const { rpc, ...changes } = options;
  const dstack = await deployDstack(connection);
  const events: MockCloudEvent[] = [];
  const onEvent = (event: MockCloudEvent) => void events.push(event);
  const cloud = await startMockCloud({ ...platformOf(dstack, rpc), onEvent, ...changes });
  return { dstack, cloud, events };
}

/** The official client, as an integrator would point it at the mock. */
export function officialClient(cloud: RunningMockCloud, version: "2025-10-28" | "2026-01-21" = "2026-01-21") {
  return createClient({ apiKey, baseURL: cloud.baseUrl, version });
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed text of a JSON object; otherwise empty. */
  readonly body: Record<string, unknown>;
}

/** An HTTP request with the API key; bodies that are objects travel as JSON. */
export async function request(
  cloud: Pick<RunningMockCloud, "baseUrl">,
  method: string,
  path: string,
  options: { readonly body?: unknown; readonly headers?: Record<string, string> } = {},
): Promise<Answer> {
  const isText = typeof options.body === "string";
  const response = await fetch(`${cloud.baseUrl}${path}`, {
    method,
    headers: {
      "X-API-Key": apiKey,
      ...(options.body !== undefined && !isText && { "Content-Type": "application/json" }),
      ...options.headers,
    },
    ...(options.body !== undefined && { body: isText ? (options.body as string) : JSON.stringify(options.body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") ?? false;
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : {} };
}

export interface CreateTestCvmParameters {
  readonly name?: string;
  readonly kms?: string;
  readonly nodeId?: number;
  readonly allowedEnvs?: readonly string[];
  readonly environment?: readonly { readonly key: string; readonly value: string }[];
  readonly allowAnyDevice?: boolean;
  readonly requireTcbUpToDate?: boolean;
  /** Lets the new CVM boot. Default: waits for it. */
  readonly settle?: () => Promise<void>;
}

/** Provision, deploy the app's contract, create, boot: what a client does for a new on-chain CVM. */
export async function createOnChainCvm(
  world: { readonly dstack: Dstack; readonly cloud: AnyCloud },
  parameters: CreateTestCvmParameters = {},
): Promise<TestCvm> {
  const { dstack, cloud } = world;
  const provisioned = await provision(cloud, { kms: "BASE", ...parameters });
  const composeHash = parseComposeHash(String(provisioned.compose_hash));
  const transactionHash = await deployApp(dstack.client, {
    account: dstack.owner,
    kms: dstack.kms,
    owner: dstack.owner.address,
    composeHash,
    deviceId: dstack.deviceId,
    allowAnyDevice: parameters.allowAnyDevice,
    requireTcbUpToDate: parameters.requireTcbUpToDate,
  });
  const receipt = await waitForReceipt(dstack.client, { transactionHash, functionName: "deployAndRegisterApp" });
  const appId = deployedApp(receipt, { kms: dstack.kms });
  return create(cloud, appId, composeHash, dstack.owner.address, parameters);
}

export async function createOffChainCvm(
  world: { readonly cloud: AnyCloud },
  parameters: CreateTestCvmParameters = {},
): Promise<TestCvm> {
  const provisioned = await provision(world.cloud, { kms: "PHALA", ...parameters });
  const { app_id, compose_hash } = provisioned;
  return create(world.cloud, parseAppId(String(app_id)), parseComposeHash(String(compose_hash)), undefined, parameters);
}

/** Registers the hash as the app's owner and waits for the receipt. */
export async function registerHash(
  world: { readonly dstack: Dstack },
  appId: AppId,
  composeHash: string,
): Promise<TransactionHash> {
  const { client, owner } = world.dstack;
  const transactionHash = await addComposeHash(client, {
    account: owner,
    appId,
    composeHash: parseComposeHash(composeHash),
  });
  await waitForReceipt(client, { transactionHash, functionName: "addComposeHash" });
  return transactionHash;
}

/** An environment encrypted to the app's key, by the official function. */
export async function encryptFor(
  cloud: AnyCloud,
  appId: AppId,
  environment: readonly { readonly key: string; readonly value: string }[],
  kms = "kms-base-1",
): Promise<string> {
  const { body } = await request(cloud, "GET", `/kms/${kms}/pubkey/${withoutPrefix(appId)}`);
  return encryptEnvVars([...environment], String(body.public_key));
}

async function provision(cloud: AnyCloud, parameters: CreateTestCvmParameters & { readonly kms: string }) {
  const { name = `cvm-${randomBytes(4).toString("hex")}`, kms, nodeId, allowedEnvs, environment } = parameters;
  const { status, body } = await request(cloud, "POST", "/cvms/provision", {
    body: {
      name,
      compose_file: {
        name: "",
        docker_compose_file: dockerCompose,
        allowed_envs: allowedEnvs ?? environment?.map(({ key }) => key) ?? [],
      },
      kms,
      teepod_id: nodeId,
    },
  });
  if (status !== 200) throw new Error(`provision answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

async function create(
  cloud: AnyCloud,
  appId: AppId,
  composeHash: ComposeHash,
  deployer: Address | undefined,
  { environment, kms, settle = cloud.whenIdle }: CreateTestCvmParameters,
): Promise<TestCvm> {
  const encryptedEnv =
    environment && (await encryptFor(cloud, appId, environment, kms ?? (deployer ? "base" : "phala")));
  const { status, body } = await request(cloud, "POST", "/cvms", {
    body: { app_id: appId, compose_hash: composeHash, encrypted_env: encryptedEnv, deployer_address: deployer },
  });
  if (status !== 200) throw new Error(`create answered ${status}: ${JSON.stringify(body)}`);
  await settle?.();
  const detail = await request(cloud, "GET", `/cvms/${body.id}`);
  return { id: String(detail.body.id), appId, composeHash };
}
