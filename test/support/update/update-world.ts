import { network } from "hardhat";
import { type Account, createClient, custom, http, type LocalAccount, type Transport } from "viem";
import { getLogs, getTransactionCount } from "viem/actions";
import { base } from "viem/chains";
import type { ChainClient } from "../../../src/chain/client.ts";
import { removeDevice } from "../../../src/chain/remove-device.ts";
import type { Ledger } from "../../../src/chain/transactions/ledger.ts";
import { waitForReceipt } from "../../../src/chain/transactions/receipt.ts";
import { type CloudClient, createCloudClient } from "../../../src/cloud/create-client.ts";
import { type AppId, type ComposeHash, parseComposeHash } from "../../../src/core/ids.ts";
import { dstackAppAbi } from "../../../src/generated/abi.ts";
import { type MockCloudEvent, startMockCloud } from "../../../src/mock-cloud/index.ts";
import type { UpdateCvmParameters } from "../../../src/update/connect.ts";
import type { UpdateResult } from "../../../src/update/run.ts";
import { updateCvm } from "../../../src/update/update-cvm.ts";
import { type Dstack, deployDstack, type OpConnection } from "../chain/deploy-dstack.ts";
import { Crash, hookedLedger } from "../ledger/crashing-ledger.ts";
import {
  apiKey,
  type CloudWorld,
  type CreateTestCvmParameters,
  createOffChainCvm,
  createOnChainCvm,
  platformOf,
  type TestCvm,
} from "../mock-cloud/cloud-world.ts";
import type { TestServer } from "./http-server.ts";
import { type RpcInterceptor, startRpcServer } from "./rpc-server.ts";

/** Contracts, a chain served over HTTP and a mock cloud, all of this process and listening on loopback. */
export interface UpdateWorld extends CloudWorld {
  readonly connection: OpConnection;
  readonly rpc: TestServer;
  readonly client: CloudClient;
  /** Owns every app of this world. */
  readonly owner: LocalAccount;
  close(): Promise<void>;
}

export interface StartUpdateWorldParameters {
  /** Stands between the cloud's backend and its chain. */
  readonly backendRpc?: RpcInterceptor;
}

export async function startUpdateWorld({ backendRpc }: StartUpdateWorldParameters = {}): Promise<UpdateWorld> {
  const connection = await network.create("local");
  const dstack = await deployDstack(connection);
  const platform = platformOf(dstack);
  const [offChain, onChain] = platform.kms ?? [];
  const kms =
    backendRpc && offChain && onChain ? [offChain, { ...onChain, rpc: wayTo(dstack, backendRpc) }] : undefined;
  const events: MockCloudEvent[] = [];
  const cloud = await startMockCloud({ ...platform, ...(kms && { kms }), onEvent: (event) => events.push(event) });
  const rpc = await startRpcServer(connection.provider);
  return {
    dstack,
    cloud,
    events,
    connection,
    rpc,
    client: createCloudClient({ apiKey, baseUrl: cloud.baseUrl, retry: { baseDelayMs: 1, maxDelayMs: 10_000 } }),
    owner: dstack.owner,
    async close() {
      await Promise.all([cloud.close(), rpc.close()]);
      await connection.close();
    },
  };
}

function wayTo({ connection: { provider } }: Dstack, intercept: RpcInterceptor): Transport {
  return custom({ request: (request) => intercept(request, () => provider.request(request)) }, { retryCount: 0 });
}

/** Another endpoint of the world's chain, with an interceptor. Close it. */
export function interceptRpc({ connection }: UpdateWorld, intercept: RpcInterceptor): Promise<TestServer> {
  return startRpcServer(connection.provider, intercept);
}

/** A client of the world's chain over HTTP, as a user would make it. */
export function chainOf({ rpc }: { readonly rpc: Pick<TestServer, "url"> }, account?: Account): ChainClient {
  return createClient({ chain: base, transport: http(rpc.url, { retryCount: 0 }), account, pollingInterval: 10 });
}

/** Waiting as short as a local world allows. */
export const fast = {
  pollCloudMs: 5,
  pollChainMs: 5,
  timeouts: { settleMs: 10_000, receiptMs: 10_000, confirmMs: 10_000, rolloverMs: 10_000 },
} as const;

export type UpdateChanges = Partial<UpdateCvmParameters> & Pick<UpdateCvmParameters, "ledger">;

export function update(world: UpdateWorld, cvm: TestCvm, changes: UpdateChanges): Promise<UpdateResult> {
  return updateCvm({
    cloud: world.client,
    chain: chainOf(world, world.owner),
    cvm: cvm.id,
    appId: cvm.appId,
    expectedKmsPublicKey: world.cloud.kmsPublicKey("kms-base-1"),
    ...fast,
    ...changes,
  });
}

/** A ledger whose process dies at a write: at a method, or at the note of an update with a status. */
export function dyingAt(ledger: Ledger, what: string, when: "before" | "after" = "before"): Ledger {
  const die = (method: string, _: number, args: readonly unknown[]) => {
    const reached = method === "writeNote" ? Reflect.get(Object(args[2]), "status") : method;
    if (reached === what) throw new Crash();
  };
  return hookedLedger(ledger, { [when]: die });
}

/** A client of the world's cloud that does something before it passes on the confirmation of an update. */
export function beforeConfirming({ cloud }: UpdateWorld, work: (composeHash: ComposeHash) => Promise<unknown>) {
  const intercept: typeof fetch = async (input, init) => {
    const composeHash = new Headers(init?.headers).get("x-compose-hash");
    if (composeHash !== null) await work(parseComposeHash(composeHash));
    return fetch(input, init);
  };
  return createCloudClient({ apiKey, baseUrl: cloud.baseUrl, fetch: intercept });
}

/** For a CVM whose KMS keeps its policy off chain: no chain, that KMS's key, and the app as the CVM's name. */
export function offChain({ cloud }: UpdateWorld, { appId }: TestCvm) {
  return {
    chain: undefined,
    appId: undefined,
    cvm: `app_${appId.slice(2)}`,
    expectedKmsPublicKey: cloud.kmsPublicKey("kms-phala-1"),
  };
}

let names = 0;

export function createCvm(world: UpdateWorld, parameters: CreateTestCvmParameters = {}): Promise<TestCvm> {
  return createOnChainCvm(world, { name: `update-test-${names++}`, ...parameters });
}

export function createCvmOffChain(world: UpdateWorld, parameters: CreateTestCvmParameters = {}): Promise<TestCvm> {
  return createOffChainCvm(world, { name: `update-test-${names++}`, ...parameters });
}

/** Takes the CVM's device off the list: the next boot needs an addDevice first. */
export async function disallowDevice({ dstack, owner }: UpdateWorld, { appId }: TestCvm): Promise<void> {
  const { client, deviceId } = dstack;
  const transactionHash = await removeDevice(client, { account: owner, appId, deviceId });
  await waitForReceipt(client, { transactionHash, functionName: "removeDevice" });
}

/** What happened to an app on chain, by its own events. */
export interface AppHistory {
  readonly hashesAdded: readonly ComposeHash[];
  readonly devicesAdded: number;
}

export async function readAppHistory({ dstack }: UpdateWorld, appId: AppId): Promise<AppHistory> {
  const logs = await getLogs(dstack.client, { address: appId, fromBlock: 0n, events: dstackAppAbi.filter(isEvent) });
  return {
    hashesAdded: logs.flatMap((log) =>
      log.eventName === "ComposeHashAdded" && log.args.composeHash ? [log.args.composeHash as ComposeHash] : [],
    ),
    devicesAdded: logs.filter(({ eventName }) => eventName === "DeviceAdded").length,
  };
}

/** Transactions the owner has had mined. */
export function countTransactions({ dstack, owner }: UpdateWorld): Promise<number> {
  return getTransactionCount(dstack.client, { address: owner.address });
}

function isEvent<Item extends { readonly type: string }>(item: Item): item is Extract<Item, { type: "event" }> {
  return item.type === "event";
}
