import { createRequire } from "node:module";
import {
  type Abi,
  type Address,
  createClient,
  custom,
  defineChain,
  type EIP1193RequestFn,
  encodeDeployData,
  hexToNumber,
  keccak256,
  type LocalAccount,
  numberToHex,
  parseEther,
  parseGwei,
  type SignedAuthorization,
  type TransactionReceipt,
  zeroAddress,
} from "viem";
import {
  getTransactionCount,
  getTransactionReceipt,
  sendRawTransaction,
  waitForTransactionReceipt,
} from "viem/actions";
import { encodeDeployApp } from "../../chain/encode-deploy-app.ts";
import { readOwner } from "../../chain/read-owner.ts";
import { deterministicDeployer } from "../../core/batch-executor.ts";
import { deployedApp } from "../../core/events.ts";
import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  type Hex,
  parseComposeHash,
  parseTransactionHash,
  type TransactionHash,
} from "../../core/ids.ts";
import type { OwnerCall } from "../../core/owner-calls.ts";
import { buildSafeTx, hashSafeTx, type SafeTx } from "../../core/safe.ts";
import { encodeExecTransaction } from "../../core/safe-calldata.ts";
import { encodeSafeSignatures, type SafeSignature } from "../../core/safe-signing.ts";
import { importWithPeer } from "../../files/import-with-peer.ts";
import { devAccount, type OwnerClient } from "../../world/chain/client.ts";
import { deployerCode, installBatchExecutor, setCode } from "../../world/chain/predeploys.ts";
import { deployContracts } from "../../world/contracts.ts";
import { createSafe, type WorldSafe } from "../../world/safe.ts";
import { testComposeHash, testDeviceId } from "../boot.ts";
import type { TestChain } from "../deploy-dstack.ts";
import { creationOf, relay } from "./hostile-code.ts";

/** The part of a provider that the corpus and its judges use. */
export interface ReceiptProvider {
  request(call: ReceiptRequest): Promise<unknown>;
}

export interface ReceiptRequest {
  readonly method: string;
  readonly params?: readonly unknown[] | undefined;
}

/** The chain of the corpus: apps with each kind of owner, and two KMS contracts. */
export interface ReceiptWorld {
  readonly provider: ReceiptProvider;
  readonly client: OwnerClient;
  /** Owns the KMS, `app` and `secondApp`, and is a proposer and executor of the timelock. */
  readonly owner: LocalAccount;
  /** Has funds and no rights. */
  readonly stranger: LocalAccount;
  readonly kms: Address;
  readonly appImplementation: Address;
  /** Owned by the key. */
  readonly app: AppId;
  readonly secondApp: AppId;
  readonly safe: WorldSafe;
  readonly safeApp: AppId;
  /** OpenZeppelin's TimelockController, without a delay; the Safe is a proposer too. */
  readonly timelock: Address;
  readonly timelockApp: AppId;
  /** A contract that makes the calls that it is given, for every account. */
  readonly relay: Address;
  readonly relayApp: AppId;
  readonly otherKms: Address;
  /** Of the other KMS, owned by the key. */
  readonly otherKmsApp: AppId;
  /** The hash whose registration the cases claim. No app allows it at first. */
  readonly composeHash: ComposeHash;
  readonly otherHash: ComposeHash;
  /** Listed on every app. */
  readonly deviceId: DeviceId;
}

export interface StartReceiptWorldOptions {
  /** The hash whose registration the cases claim. @default 32 bytes of 0xa1 */
  readonly composeHash?: ComposeHash | undefined;
  /** Allowed on every app from the start. @default testComposeHash */
  readonly firstHash?: ComposeHash | undefined;
}

/**
 * Deploys the contracts of the receipt corpus on a test chain. Uses the methods of Hardhat's and anvil's chains, and
 * changes balances and code; never use it on a real chain. The chain must read transactions of EIP-7702, which the OP
 * chain of Hardhat does not.
 *
 * @throws MissingPackageError without `@safe-global/safe-smart-account` or `@openzeppelin/contracts`
 *
 * @example
 * import { startReceiptWorld } from "dstack-toolkit/testing";
 * import { client } from "./app.js";
 * const world = await startReceiptWorld(client);
 */
export async function startReceiptWorld(
  chain: TestChain,
  { composeHash = parseComposeHash("a1".repeat(32)), firstHash }: StartReceiptWorldOptions = {},
): Promise<ReceiptWorld> {
  const provider = ("provider" in chain ? chain.provider : chain) as ReceiptProvider; // each library types it otherwise
  const [owner, stranger] = [devAccount(0), devAccount(9)];
  for (const { address } of [owner, stranger]) {
    await provider.request({ method: "hardhat_setBalance", params: [address, numberToHex(parseEther("1000"))] });
  }
  const client = await connect(provider, owner);
  await setCode(client, deterministicDeployer, deployerCode);
  await installBatchExecutor(client);
  const { kms, appImplementation } = await deployContracts(client);
  const { kms: otherKms } = await deployContracts(client);
  const base = { provider, client, owner, stranger, kms };
  const newApp = (of: Address, on = kms) => deployTestApp({ ...base, kms: on }, { owner: of, composeHash: firstHash });
  const safe = await createSafe(client, { owners: 2, threshold: 2 });
  const timelock = await create(base, await timelockCreation([owner.address, safe.address]));
  const relayAddress = await create(base, creationOf(relay));
  return {
    ...base,
    ...{ appImplementation, safe, timelock, relay: relayAddress, otherKms, composeHash, deviceId: testDeviceId },
    app: await newApp(owner.address),
    secondApp: await newApp(owner.address),
    safeApp: await newApp(safe.address),
    timelockApp: await newApp(timelock),
    relayApp: await newApp(relayAddress),
    otherKmsApp: await newApp(owner.address, otherKms),
    otherHash: parseComposeHash("b2".repeat(32)),
  };
}

async function connect(provider: ReceiptProvider, account: LocalAccount): Promise<OwnerClient> {
  const request = provider.request.bind(provider) as EIP1193RequestFn; // the same requests, each with its types
  const id = hexToNumber(await request({ method: "eth_chainId" }));
  const nativeCurrency = { name: "Ether", symbol: "ETH", decimals: 18 };
  const chain = defineChain({ id, name: `Test chain ${id}`, nativeCurrency, rpcUrls: { default: { http: [] } } });
  const transport = custom({ request }, { retryCount: 0 });
  // Without a cache: a case asks for the newest block after a reorganisation too.
  return createClient({ account, chain, transport, pollingInterval: 20, cacheTime: 0 });
}

/** Without a delay. Any account may execute. */
async function timelockCreation(proposers: readonly Address[]): Promise<Hex> {
  const peer = "@openzeppelin/contracts";
  const file = "build/contracts/TimelockController.json";
  const { abi, bytecode } = await importWithPeer({ entry: "The receipt corpus", peer, file }, async () => {
    return createRequire(import.meta.url)(`${peer}/${file}`) as { readonly abi: Abi; readonly bytecode: Hex };
  });
  return encodeDeployData({ abi, bytecode, args: [0n, proposers, [zeroAddress], zeroAddress] });
}

/** The accounts and the chain, without the contracts. */
type Accounts = Pick<ReceiptWorld, "provider" | "client" | "owner" | "stranger">;

export interface SentTransaction {
  readonly hash: TransactionHash;
  /** The signed bytes. */
  readonly raw: Hex;
}

export interface Outgoing {
  /** @default none: the transaction creates a contract */
  readonly to?: Address | undefined;
  readonly data?: Hex | undefined;
  /** @default the world's owner */
  readonly from?: LocalAccount | undefined;
  /** @default the next one */
  readonly nonce?: number | undefined;
  /** Offers so many times the usual fee. */
  readonly fee?: bigint | undefined;
  readonly authorizationList?: readonly SignedAuthorization[] | undefined;
  /** The chain mines nothing now. @default false */
  readonly isLeftInPool?: boolean | undefined;
}

/** Signs with a fixed gas limit, so that a transaction that fails is sent too. */
export async function sign({ client, owner }: Accounts, outgoing: Outgoing): Promise<SentTransaction> {
  const { to, data, from = owner, authorizationList, fee = 1n } = outgoing;
  const fees = { maxFeePerGas: fee * parseGwei("100"), maxPriorityFeePerGas: fee * parseGwei("1") };
  const nonce = outgoing.nonce ?? (await getTransactionCount(client, { address: from.address, blockTag: "pending" }));
  const common = { chainId: client.chain.id, nonce, to, data, gas: 4_000_000n, ...fees };
  const raw = await from.signTransaction(
    authorizationList ? { ...common, type: "eip7702", authorizationList } : { ...common, type: "eip1559" },
  );
  return { hash: parseTransactionHash(keccak256(raw)), raw };
}

/**
 * Broadcasts, and waits until the transaction is mined, unless the case has stopped the mining. Hardhat's node reports a
 * revert as an error.
 */
export async function broadcast(
  { client }: Accounts,
  { hash, raw }: SentTransaction,
  { isLeftInPool = false }: Pick<Outgoing, "isLeftInPool"> = {},
): Promise<void> {
  const failure = await sendRawTransaction(client, { serializedTransaction: raw }).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failure !== undefined) {
    const known = await client.request({ method: "eth_getTransactionByHash", params: [hash] });
    if (known === null) throw failure;
  }
  if (!isLeftInPool) await waitForTransactionReceipt(client, { hash });
}

/** Sends one transaction. */
export async function send(world: Accounts, outgoing: Outgoing): Promise<TransactionHash> {
  const signed = await sign(world, outgoing);
  await broadcast(world, signed, outgoing);
  return signed.hash;
}

export const sendCall = (world: Accounts, { to, data }: OwnerCall, more: Outgoing = {}): Promise<TransactionHash> =>
  send(world, { to, data, ...more });

/** Deploys a contract. */
export async function create(world: Accounts, data: Hex): Promise<Address> {
  const { contractAddress } = await receiptOf(world, await send(world, { data }));
  if (!contractAddress) throw new TypeError("The transaction created no contract.");
  return contractAddress;
}

export function receiptOf({ client }: Accounts, hash: TransactionHash): Promise<TransactionReceipt> {
  return getTransactionReceipt(client, { hash });
}

export interface TestAppParameters {
  readonly owner: Address;
  readonly composeHash?: ComposeHash | undefined;
  readonly allowAnyDevice?: boolean | undefined;
  readonly disableUpgrades?: boolean | undefined;
}

/** Deploys an app through the factory of the KMS. */
export async function deployTestApp(
  world: Accounts & { readonly kms: Address },
  app: TestAppParameters,
): Promise<AppId> {
  return deployedApp(await receiptOf(world, await sendDeployment(world, app)), { kms: world.kms });
}

export function sendDeployment(
  world: Accounts & { readonly kms: Address },
  { composeHash = testComposeHash, ...app }: TestAppParameters,
): Promise<TransactionHash> {
  const { data } = encodeDeployApp({ ...app, kms: world.kms, composeHash, deviceId: testDeviceId });
  return send(world, { to: world.kms, data });
}

/** The Safe's owners sign, and the stranger pays. Several calls go through MultiSend. */
export async function executeInSafe(
  world: ReceiptWorld,
  calls: readonly OwnerCall[],
  more: Partial<SafeTx> = {},
): Promise<TransactionHash> {
  const { client, safe, stranger } = world;
  const found = await readOwner(client, { address: safe.address });
  if (found.kind !== "safe") throw new TypeError(`${safe.address} is not a Safe.`);
  const safeTx = { ...buildSafeTx({ calls, multiSend: safe.multiSend, nonce: found.nonce }), ...more };
  const hash = hashSafeTx(safeTx, { chainId: client.chain.id, safe: safe.address, version: safe.version });
  const signatures = safe.owners.map(async (signer, index): Promise<SafeSignature> => {
    return { kind: "ecdsa", signer, signature: await devAccount(index).sign({ hash }) };
  });
  const data = encodeExecTransaction(safeTx, encodeSafeSignatures(await Promise.all(signatures)));
  return send(world, { to: safe.address, data, from: stranger });
}

/** Stops or starts mining at the arrival of a transaction. */
export async function setAutomine({ provider }: Accounts, isOn: boolean): Promise<void> {
  await provider.request({ method: "evm_setAutomine", params: [isOn] });
}

export async function mine({ provider }: Accounts, blocks = 1): Promise<void> {
  await provider.request({ method: "hardhat_mine", params: [numberToHex(blocks)] });
}

/** Takes a snapshot, and returns the way back to it. What is mined until then leaves the chain, as in a reorganisation. */
export async function snapshot({ provider }: Accounts): Promise<() => Promise<void>> {
  const id = await provider.request({ method: "evm_snapshot", params: [] });
  return async () => {
    await provider.request({ method: "evm_revert", params: [id] });
  };
}
