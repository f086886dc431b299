import {
  type Account,
  type Address,
  type Chain,
  type Client,
  createClient,
  custom,
  defineChain,
  type EIP1193RequestFn,
  type GetContractReturnType,
  getContract,
  type Hex,
  hexToNumber,
  type Transport,
} from "viem";
import { parseAccount } from "viem/accounts";
import { writeContract } from "viem/actions";
import { deployApp } from "../chain/deploy-app.ts";
import type { BootInfo } from "../chain/read-boot.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import { deployedApp } from "../core/events.ts";
import { type ComposeHash, type DeviceId, parseComposeHash, parseDeviceId, parseTransactionHash } from "../core/ids.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { dstackAppAbi, dstackKmsAbi } from "../generated/abi.ts";
import { deployContracts } from "../world/contracts.ts";
import { type BootInfoChanges, bootInfoOf, testComposeHash, testDeviceId, testOsImageHash } from "./boot.ts";

/** A client that signs as the owner. */
export type TestClient = Client<Transport, Chain, Account>;
export type DstackAppContract = GetContractReturnType<typeof dstackAppAbi, TestClient>;
export type DstackKmsContract = GetContractReturnType<typeof dstackKmsAbi, TestClient>;

/** A test chain: a Hardhat connection, a viem client with or without an account, or any EIP-1193 provider. */
export type TestChain = { readonly provider: Eip1193 } | (Eip1193 & { readonly account?: Account | undefined });

/** Each library types its requests differently, so this type is as wide as viem's own transport. */
type Eip1193 = Parameters<typeof custom>[0];

export interface DeployTestAppParameters {
  /** @default the owner of the KMS */
  readonly owner?: Address | undefined;
  /** @default testComposeHash */
  readonly composeHash?: Hex | undefined;
  /** @default testDeviceId */
  readonly deviceId?: Hex | undefined;
  readonly allowAnyDevice?: boolean | undefined;
  readonly requireTcbUpToDate?: boolean | undefined;
  readonly disableUpgrades?: boolean | undefined;
}

/** A KMS and an app, deployed as in production. Both allow `bootInfo()`. */
export interface DeployedDstack {
  readonly kms: DstackKmsContract;
  readonly app: DstackAppContract;
  readonly appImplementation: Address;
  /** Owner of both contracts: the client's account, or the node's first account. */
  readonly owner: Account;
  readonly client: TestClient;
  /** Allowed on the app. */
  readonly composeHash: ComposeHash;
  /** Listed on the app. */
  readonly deviceId: DeviceId;
  /** Allowed on the KMS. */
  readonly osImageHash: Hex;
  /** Boot information of a machine that may boot `app`. `changes` replaces single fields. */
  bootInfo(changes?: BootInfoChanges): BootInfo;
  /** Deploys another app of the same KMS. */
  deployApp(parameters?: DeployTestAppParameters): Promise<DstackAppContract>;
}

/**
 * Deploys DstackKms and one DstackApp from the bytecode in this package. Use it as a fixture of
 * hardhat-network-helpers, `networkHelpers.loadFixture(deployDstack)`. It also accepts any viem client or EIP-1193
 * provider of a test chain.
 *
 * @throws InvalidArgumentError if the chain has no account; the errors of deployApp
 *
 * @example
 * import { deployDstack } from "dstack-toolkit/testing";
 * import { client } from "./app.js";
 * const { kms, app, bootInfo } = await deployDstack(client);
 */
export async function deployDstack(chain: TestChain): Promise<DeployedDstack> {
  const client = await connect(chain);
  const owner = client.account;
  const { kms, appImplementation } = await deployContracts(client);
  await allowOsImage(client, kms);
  const deploy = async (parameters: DeployTestAppParameters = {}) => {
    const { composeHash = testComposeHash, deviceId = testDeviceId, owner: appOwner = owner.address } = parameters;
    const transactionHash = await deployApp(client, {
      ...parameters,
      kms,
      owner: appOwner,
      composeHash: parseComposeHash(composeHash),
      deviceId: parseDeviceId(deviceId),
    });
    const receipt = await waitForReceipt(client, { transactionHash, functionName: "deployAndRegisterApp" });
    return getContract({ abi: dstackAppAbi, address: deployedApp(receipt, { kms }), client });
  };
  const app = await deploy();
  return {
    kms: getContract({ abi: dstackKmsAbi, address: kms, client }),
    app,
    appImplementation,
    owner,
    client,
    composeHash: testComposeHash,
    deviceId: testDeviceId,
    osImageHash: testOsImageHash,
    bootInfo: (changes) => bootInfoOf(app.address, changes),
    deployApp: deploy,
  };
}

/** Creates our own client: the caller's may poll slowly, or expect a Multicall3 that a new chain does not have. */
async function connect(chain: TestChain): Promise<TestClient> {
  const provider = "provider" in chain ? chain.provider : chain;
  const request: EIP1193RequestFn = (call) => provider.request(call);
  const id = hexToNumber(await request({ method: "eth_chainId" }));
  const account = ("account" in chain && chain.account) || parseAccount(await firstAccount(request));
  return createClient({
    account,
    chain: defineChain({
      id,
      name: `Test chain ${id}`,
      nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
      rpcUrls: { default: { http: [] } },
    }),
    transport: custom({ request }, { retryCount: 0 }),
    pollingInterval: 20,
  });
}

async function firstAccount(request: EIP1193RequestFn): Promise<Address> {
  const [address]: readonly Address[] = await request({ method: "eth_accounts" });
  if (address !== undefined) return address;
  throw new InvalidArgumentError("The chain has no account that can own the contracts.", {
    nextStep: "Pass a viem client with an account, or a chain that has its own accounts.",
  });
}

async function allowOsImage(client: TestClient, kms: Address): Promise<void> {
  const functionName = "addOsImageHash";
  const hash = await writeContract(client, { abi: dstackKmsAbi, address: kms, functionName, args: [testOsImageHash] });
  await waitForReceipt(client, { transactionHash: parseTransactionHash(hash), functionName });
}
