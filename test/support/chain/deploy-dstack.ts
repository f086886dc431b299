import type { NetworkConnection } from "hardhat/types/network";
import { type Address, type Chain, createClient, custom, type Hex, type LocalAccount, parseEther } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { writeContract } from "viem/actions";
import { base } from "viem/chains";
import DstackKms from "../../../ignition/modules/dstack-kms.ts";
import type { ChainClient } from "../../../src/chain/client.ts";
import { deployApp } from "../../../src/chain/deploy-app.ts";
import { waitForReceipt } from "../../../src/chain/transactions/receipt.ts";
import { deployedApp } from "../../../src/core/events.ts";
import { type AppId, type ComposeHash, type DeviceId, parseComposeHash, parseDeviceId } from "../../../src/core/ids.ts";
import { dstackKmsAbi } from "../../../src/generated/abi.ts";
import { installMulticall3 } from "../../../src/world/chain/predeploys.ts";

/** A connection to network "local", a fresh OP-stack chain of this process. */
export type OpConnection = NetworkConnection;

/** One KMS and one app on a fresh Base-like chain, and accounts to act with. */
export interface Dstack {
  readonly connection: OpConnection;
  /** Of Base's chain definition, so with Multicall3; without an account. */
  readonly client: ChainClient;
  readonly kms: Address;
  readonly appImplementation: Address;
  readonly appId: AppId;
  /** Owns the KMS and the app; its key is here, and it has funds. */
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

/** Deploys as production does, the app through the factory. A fixture: `networkHelpers.loadFixture(deployDstack)`. */
export async function deployDstack(connection: OpConnection): Promise<Dstack> {
  const client = clientOf(connection);
  const owner = await fundedAccount(connection);
  const stranger = await fundedAccount(connection);
  await installMulticall3(client);
  const { kms, appImplementation } = await connection.ignition.deploy(DstackKms, {
    parameters: { DstackKms: { owner: owner.address } },
  });
  const dstack = {
    connection,
    client,
    kms: kms.address,
    appImplementation: appImplementation.address,
    owner,
    stranger,
    composeHash: parseComposeHash("c0".repeat(32)),
    deviceId: parseDeviceId("de".repeat(32)),
    osImageHash: `0x${"05".repeat(32)}`,
  } as const;
  await writeContract(client, {
    account: owner,
    chain: base,
    address: kms.address,
    abi: dstackKmsAbi,
    functionName: "addOsImageHash",
    args: [dstack.osImageHash],
  });
  return { ...dstack, appId: await deployAppOf(dstack, owner.address) };
}

/** One more app of the same KMS, with the same first hash and device, owned by `owner`; the stranger pays. */
export async function deployAppOf(
  { client, kms, stranger, composeHash, deviceId }: Omit<Dstack, "appId">,
  owner: Address,
): Promise<AppId> {
  const transactionHash = await deployApp(client, { account: stranger, kms, owner, composeHash, deviceId });
  return deployedApp(await waitForReceipt(client, { transactionHash, functionName: "deployAndRegisterApp" }), { kms });
}

/** A client on the connection's own provider, polling fast and asking once. */
export function clientOf({ provider }: OpConnection, chain: Chain = base): ChainClient {
  return createClient({ chain, transport: custom(provider, { retryCount: 0 }), pollingInterval: 20 });
}

/** A new key with ten ether. */
export async function fundedAccount({ networkHelpers }: OpConnection): Promise<LocalAccount> {
  const account = privateKeyToAccount(generatePrivateKey());
  await networkHelpers.setBalance(account.address, parseEther("10"));
  return account;
}
