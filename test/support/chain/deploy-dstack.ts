import type { NetworkConnection } from "hardhat/types/network";
import {
  type Address,
  type Chain,
  createClient,
  custom,
  encodeFunctionData,
  type Hex,
  type LocalAccount,
  parseEther,
} from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { writeContract } from "viem/actions";
import { base } from "viem/chains";
import { dstackKmsAbi } from "../../../src/abi/index.ts";
import type { ChainClient } from "../../../src/chain/chain-client.ts";
import { deployApp } from "../../../src/chain/deploy-app.ts";
import { waitForReceipt } from "../../../src/chain/wait-for-receipt.ts";
import { deployedApp } from "../../../src/core/deployed-app.ts";
import { type AppId, type ComposeHash, type DeviceId, parseComposeHash, parseDeviceId } from "../../../src/core/ids.ts";
import { installMulticall3 } from "../../../src/world/multicall3.ts";

export type OpConnection = NetworkConnection<"op">;

/** One KMS and one app on a fresh Base-like chain, and accounts to act with. */
export interface Dstack {
  readonly connection: OpConnection;
  /** A client of Base's chain definition (so with Multicall3) and no account. */
  readonly client: ChainClient;
  readonly kms: Address;
  readonly appImplementation: Address;
  readonly appId: AppId;
  /** Owns the KMS and the app; its key is here and it has funds. */
  readonly owner: LocalAccount;
  /** Has funds and no rights. */
  readonly stranger: LocalAccount;
  /** Allowed on the app from the start. */
  readonly composeHash: ComposeHash;
  /** Listed on the app from the start. */
  readonly deviceId: DeviceId;
  /** Allowed on the KMS from the start. */
  readonly osImageHash: Hex;
}

/** Deploys through the factory as production does. Works as a fixture: `networkHelpers.loadFixture(deployDstack)`. */
export async function deployDstack(connection: OpConnection): Promise<Dstack> {
  const { viem } = connection;
  const owner = await fundedAccount(connection);
  const stranger = await fundedAccount(connection);
  const client = clientOf(connection);
  await installMulticall3(client);

  const appImplementation = (await viem.deployContract("DstackApp")).address;
  const kmsImplementation = (await viem.deployContract("DstackKms")).address;
  const initialize = encodeFunctionData({
    abi: dstackKmsAbi,
    functionName: "initialize",
    args: [owner.address, appImplementation],
  });
  const kms = (await viem.deployContract("ERC1967Proxy", [kmsImplementation, initialize])).address;

  const composeHash = parseComposeHash("c0".repeat(32));
  const deviceId = parseDeviceId("de".repeat(32));
  const transactionHash = await deployApp(client, {
    account: owner,
    kms,
    owner: owner.address,
    composeHash,
    deviceId,
  });
  const receipt = await waitForReceipt(client, { transactionHash, functionName: "deployAndRegisterApp" });
  const appId = deployedApp(receipt, { kms });

  const osImageHash: Hex = `0x${"05".repeat(32)}`;
  await writeContract(client, {
    account: owner,
    chain: base,
    address: kms,
    abi: dstackKmsAbi,
    functionName: "addOsImageHash",
    args: [osImageHash],
  });
  return { connection, client, kms, appImplementation, appId, owner, stranger, composeHash, deviceId, osImageHash };
}

/** A client on the connection's own provider, polling fast and asking once. */
export function clientOf({ provider }: OpConnection, chain: Chain = base): ChainClient {
  return createClient({ chain, transport: custom(provider, { retryCount: 0 }), pollingInterval: 20 });
}

/** A new key with ten ether. */
export async function fundedAccount({ viem }: OpConnection): Promise<LocalAccount> {
  const account = privateKeyToAccount(generatePrivateKey());
  const test = await viem.getTestClient();
  await test.setBalance({ address: account.address, value: parseEther("10") });
  return account;
}
