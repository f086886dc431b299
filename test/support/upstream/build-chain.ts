import { artifacts } from "hardhat";
import {
  type Address,
  createTestClient,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  http,
  numberToHex,
  parseEther,
  publicActions,
} from "viem";
import { sendTransaction, waitForTransactionReceipt } from "viem/actions";
import { base } from "viem/chains";
import { deployedApp } from "../../../src/core/events.ts";
import { type AppId, parseAppId, parseComposeHash, parseDeviceId } from "../../../src/core/ids.ts";
import { addKmsDeviceCall, addOsImageHashCall, removeOsImageHashCall } from "../../../src/core/kms-owner-calls.ts";
import {
  addComposeHashCall,
  addDeviceCall,
  removeComposeHashCall,
  removeDeviceCall,
  setAllowAnyDeviceCall,
} from "../../../src/core/owner-calls.ts";
import { dstackKmsAbi } from "../../../src/generated/abi.ts";
import { createOwnerClient, devAccount, type OwnerClient } from "../../../src/world/chain/client.ts";
import { installBatchExecutor, installMulticall3, l1BlockAddress } from "../../../src/world/chain/predeploys.ts";
import { startChain } from "../../../src/world/chain/start-chain.ts";
import { installSafeContracts } from "../../../src/world/safe.ts";
import { deploySafe, deployTimelock } from "../chain/deploy-owner-contracts.ts";
import { deployBehindProxy, deployCompiled } from "../chain/upgrade-to.ts";
import {
  type AppCase,
  addressOf,
  hashOf,
  images,
  nodes,
  type OwnerKind,
  people,
  safeOwners,
  safeThreshold,
  timelockDelay,
} from "./cases.ts";

/** Addresses of the upstream's contracts that are no app. */
export interface Platform {
  readonly kms: Readonly<Record<"live" | "current", Address>>;
  readonly owners: Readonly<Record<OwnerKind, Address>>;
}

/** What is sent to a chain that lets everyone act as anyone, and costs nothing. */
export class ChainBuilder {
  /** Deploys. It owns nothing. */
  readonly deployer: OwnerClient;
  readonly #node;

  constructor(rpcUrl: string) {
    this.deployer = createOwnerClient({ rpcUrl, chain: base, owner: devAccount(0), pollingMs: 5 });
    const transport = http(rpcUrl);
    this.#node = createTestClient({ chain: base, mode: "anvil", transport, pollingInterval: 5 }).extend(publicActions);
  }

  /** Sends as any account, without its key. */
  async sendAs(from: Address, { to, data }: { readonly to: Address; readonly data: Hex }) {
    const free = { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };
    const hash = await sendTransaction(this.deployer, { account: from, to, data, ...free });
    const receipt = await waitForTransactionReceipt(this.deployer, { hash });
    if (receipt.status !== "success") throw new Error(`A transaction of ${from} to ${to} reverted.`);
    return receipt;
  }

  /** Everything but the apps. */
  async deployPlatform(secondsPerBlock: number): Promise<Platform> {
    const { deployer } = this;
    await this.#node.setBlockTimestampInterval({ interval: secondsPerBlock });
    await this.#copyRollupFees();
    await installMulticall3(deployer);
    await installBatchExecutor(deployer);
    const owners = await this.#deployOwners();
    const live = await deployBehindProxy(deployer, {
      contract: "DstackKmsV059",
      args: [owners.safe, await deployCompiled(deployer, "DstackAppV059")],
    });
    const current = await deployBehindProxy(deployer, {
      contract: "DstackKms",
      args: [owners.key, await deployCompiled(deployer, "DstackApp")],
    });
    for (const [kms, owner] of [
      [live, owners.safe],
      [current, owners.key],
    ] as const) {
      for (const { osImageHash } of Object.values(images))
        await this.sendAs(owner, addOsImageHashCall({ kms, osImageHash }));
      await this.sendAs(owner, addKmsDeviceCall({ kms, deviceId: hashOf("machine of the KMS") }));
    }
    return { kms: { live, current }, owners };
  }

  /** The KMS's own key. */
  async publishKmsKey({ owners }: Platform, kms: Address, k256Pubkey: Hex): Promise<void> {
    const info = { k256Pubkey, caPubkey: "0xca", quote: "0x", eventlog: "0x" } as const;
    const data = encodeFunctionData({ abi: dstackKmsAbi, functionName: "setKmsInfo", args: [info] });
    for (const owner of [owners.safe, owners.key]) {
      if ((await this.#ownerOf(kms)) === owner) await this.sendAs(owner, { to: kms, data });
    }
  }

  /** The live KMS no longer allows the older image. */
  async forgetPastImage({ kms, owners }: Platform): Promise<void> {
    const { osImageHash } = images.past;
    await this.sendAs(owners.safe, removeOsImageHashCall({ kms: kms.live, osImageHash }));
  }

  /** An app of a KMS's factory where the factory makes its release, else a proxy that is registered afterwards. */
  async deployApp({ kms, owners }: Platform, { contract, kms: where, ...app }: AppCase, name: string): Promise<AppId> {
    const isOfFactory = contract === (where === "live" ? "DstackAppV059" : "DstackApp");
    const [owner, isFrozen] = [owners[app.owner], app.hasUpgradesDisabled ?? false];
    const lists = [parseDeviceId(nodes[0].deviceId), fillerHash(name, 0)] as const;
    if (isOfFactory) {
      const args = [owner, isFrozen, false, false, ...lists] as const;
      const data = encodeFunctionData({ abi: dstackKmsAbi, functionName: "deployAndRegisterApp", args });
      const receipt = await this.sendAs(owners.key, { to: kms[where], data });
      const appId = deployedApp(receipt, { kms: kms[where] });
      if (where === "current") await this.#register(kms.live, appId);
      return appId;
    }
    const args = await this.#initialisation(contract, owner, isFrozen, lists);
    const appId = parseAppId(await deployBehindProxy(this.deployer, { contract, args }));
    await this.#register(kms.live, appId);
    return appId;
  }

  /** Years of an app's policy: hashes come and most of them go, devices come and go, and a switch is tried. */
  async addHistory(appId: AppId, owner: Address, name: string, events: number): Promise<void> {
    const visitor = parseDeviceId(hashOf(`visitor of ${name}`));
    for (let index = 1; index <= events; index++) {
      await this.sendAs(owner, callOf(index));
    }

    function callOf(index: number) {
      if (index % 20 === 17) return setAllowAnyDeviceCall({ appId, allowAny: true });
      if (index % 20 === 18) return setAllowAnyDeviceCall({ appId, allowAny: false });
      if (index % 20 === 7) return addDeviceCall({ appId, deviceId: visitor });
      if (index % 20 === 8) return removeDeviceCall({ appId, deviceId: visitor });
      const isRemoval = index % 2 === 0 && index % 10 !== 0;
      const composeHash = fillerHash(name, isRemoval ? index - 1 : index);
      return isRemoval ? removeComposeHashCall({ appId, composeHash }) : addComposeHashCall({ appId, composeHash });
    }
  }

  async #initialisation(contract: string, owner: Address, isFrozen: boolean, lists: readonly [Hex, Hex]) {
    if (contract === "DstackAppV054") return [owner, isFrozen, false, ...lists];
    if (contract !== "AppAuthV042") return [owner, isFrozen, false, false, ...lists];
    // The second contract that is deployed from now on, and its own id.
    const from = this.deployer.account.address;
    const nonce = BigInt(await this.#node.getTransactionCount({ address: from })) + 1n;
    return [owner, getContractAddress({ from, nonce }), isFrozen, false, ...lists];
  }

  async #register(kms: Address, appId: AppId): Promise<void> {
    const data = encodeFunctionData({ abi: dstackKmsAbi, functionName: "registerApp", args: [appId] });
    await this.sendAs(this.deployer.account.address, { to: kms, data });
  }

  async #deployOwners(): Promise<Platform["owners"]> {
    const { deployer } = this;
    const payer = deployer.account;
    for (const person of people) await this.#node.setBalance({ address: addressOf(person), value: parseEther("1") });
    const singletons = await installSafeContracts(deployer, "1.4.1");
    const safe = await deploySafe(deployer, {
      ...{ payer, owners: safeOwners.map(addressOf), threshold: safeThreshold },
      ...{ version: "1.4.1", singletons },
    });
    const timelockOf = (account: Address) =>
      deployTimelock(deployer, payer, BigInt(timelockDelay), { proposers: [account], executors: [account] });
    return {
      key: addressOf("owner"),
      safe,
      timelock: await timelockOf(addressOf("proposer")),
      timelockOfSafe: await timelockOf(safe),
      mute: await deployCompiled(deployer, "EpochsOnly"),
    };
  }

  async #ownerOf(kms: Address): Promise<Address> {
    return this.#node.readContract({ address: kms, abi: dstackKmsAbi, functionName: "owner" });
  }

  /** anvil has no contracts of a rollup: those of a local world, with the fees that they say. */
  async #copyRollupFees(): Promise<void> {
    const { client, close } = await startChain();
    const addresses = ["0x420000000000000000000000000000000000000F", l1BlockAddress] as const;
    for (const address of addresses) {
      await this.#node.setCode({ address, bytecode: (await client.getCode({ address })) ?? "0x" });
      for (let slot = 0; slot < 9; slot++) {
        const index = numberToHex(slot, { size: 32 });
        const value = await client.getStorageAt({ address, slot: index });
        if (value !== undefined && BigInt(value) !== 0n) await this.#node.setStorageAt({ address, index, value });
      }
    }
    await close();
  }
}

/** A hash of the history, without a document. */
export function fillerHash(app: string, index: number) {
  return parseComposeHash(hashOf(`release ${index} of ${app}`));
}

/** The compiled contracts that the upstream is made of. */
export const contracts = [
  "DstackApp",
  "DstackAppV059",
  "DstackAppV054",
  "AppAuthV042",
  "DstackKms",
  "DstackKmsV059",
  "EpochApp",
  "EpochsOnly",
  "ERC1967Proxy",
] as const;

export async function readBytecodes(): Promise<string[]> {
  return Promise.all(contracts.map(async (name) => (await artifacts.readArtifact(name)).bytecode));
}
