import { createRequire } from "node:module";
import {
  type Address,
  concat,
  encodeFunctionData,
  getContractAddress,
  isAddressEqual,
  keccak256,
  numberToHex,
  pad,
  parseAbi,
  zeroAddress,
  zeroHash,
} from "viem";
import { readContract, sendTransaction } from "viem/actions";
import { readCode } from "../chain/code.ts";
import { readOwnership } from "../chain/read-app.ts";
import { readOwner } from "../chain/read-owner.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import { type AppId, type Hex, parseTransactionHash } from "../core/ids.ts";
import { acceptOwnershipCall, type OwnerCall, transferOwnershipCall } from "../core/owner-calls.ts";
import { buildSafeTx, hashSafeTx } from "../core/safe.ts";
import { encodeExecTransaction } from "../core/safe-calldata.ts";
import { type SafeDeployment, safeDeployments } from "../core/safe-deployments.ts";
import { encodeSafeSignatures, type SafeSignature } from "../core/safe-signing.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { importWithPeer } from "../files/import-with-peer.ts";
import { devAccount, type OwnerClient } from "./chain/client.ts";
import { deployerCode, setCode } from "./chain/predeploys.ts";

/** A Safe that owns the app of the on-chain CVM. */
export interface WorldSafe {
  readonly address: Address;
  /** Return value of the Safe's `VERSION`. */
  readonly version: SafeRelease;
  /** Number of signatures that the Safe requires. */
  readonly threshold: number;
  /** The first accounts of the local chain: `devAccount(0)` and the following. */
  readonly owners: readonly Address[];
  /** Safe's MultiSendCallOnly of the same version. */
  readonly multiSend: Address;
}

export interface WorldSafeOptions {
  /** Number of signatures that the Safe requires. */
  readonly threshold: number;
  /** Number of owners. */
  readonly owners: number;
  /** Needs the npm package with this release's contracts. @default "1.5.0" */
  readonly version?: SafeRelease | undefined;
}

/** Releases of the Safe contracts, each with the npm package that has their bytecode. */
const packages = {
  "1.4.1": "@safe-global/safe-contracts",
  "1.5.0": "@safe-global/safe-smart-account",
} as const;
export type SafeRelease = keyof typeof packages;
export const safeReleases = Object.keys(packages) as readonly SafeRelease[];
/** Number of accounts that a local chain funds. */
const localAccounts = 20;

/** @throws InvalidArgumentError */
export function requireSafeOptions({ threshold, owners, version = "1.5.0" }: WorldSafeOptions): void {
  const nextStep = "Change `safe`.";
  if (!safeReleases.includes(version)) {
    throw new InvalidArgumentError(`A local Safe has version ${safeReleases.join(" or ")}.`, { nextStep });
  }
  if (!Number.isSafeInteger(owners) || owners < 1 || owners > localAccounts) {
    throw new InvalidArgumentError(`A local Safe has 1 to ${localAccounts} owners, the accounts of the local chain.`, {
      nextStep,
    });
  }
  if (Number.isSafeInteger(threshold) && threshold >= 1 && threshold <= owners) return;
  throw new InvalidArgumentError(`A Safe with ${owners} owners requires 1 to ${owners} signatures.`, { nextStep });
}

/** Where each contract is in the npm packages. */
const artifacts: Readonly<Record<keyof SafeDeployment, string>> = {
  safe: "Safe.sol/Safe.json",
  safeL2: "SafeL2.sol/SafeL2.json",
  proxyFactory: "proxies/SafeProxyFactory.sol/SafeProxyFactory.json",
  multiSend: "libraries/MultiSend.sol/MultiSend.json",
  multiSendCallOnly: "libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json",
  fallbackHandler: "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json",
  simulateTxAccessor: "accessors/SimulateTxAccessor.sol/SimulateTxAccessor.json",
  signMessageLib: "libraries/SignMessageLib.sol/SignMessageLib.json",
  createCall: "libraries/CreateCall.sol/CreateCall.json",
};

/** Safe's factory for contracts that have one address on every chain. Its code is that of the deterministic proxy. */
const singletonFactory: Address = "0x914d7Fec6aaC8cd542e72Bca78B30650d45643d7";

/**
 * Deploys the published Safe contracts of one release at their canonical addresses, from the bytecode in Safe's npm
 * package. Contracts that the chain has already stay as they are.
 *
 * @throws MissingPackageError if the npm package is not installed
 * @throws InvalidArgumentError if it contains other bytecode than Safe deployed
 */
export async function installSafeContracts(client: OwnerClient, release: SafeRelease): Promise<SafeDeployment> {
  const deployment = safeDeployments[release];
  const bytecodes = await loadBytecodes(release);
  if ((await readCode(client, { address: singletonFactory })) === "0x") {
    await setCode(client, singletonFactory, deployerCode);
  }
  for (const [name, bytecode] of bytecodes) {
    if ((await readCode(client, { address: deployment[name] })) !== "0x") continue;
    await send(client, { to: singletonFactory, data: concat([zeroHash, bytecode]), functionName: "constructor" });
  }
  return deployment;
}

async function loadBytecodes(release: SafeRelease): Promise<Array<[keyof SafeDeployment, Hex]>> {
  const peer = packages[release];
  const loaded = await importWithPeer(
    { entry: `A local Safe ${release}`, peer, file: "package.json", release },
    async () => {
      const require = createRequire(import.meta.url);
      return Object.entries(artifacts).map(([name, path]) => {
        const { bytecode } = require(`${peer}/build/artifacts/contracts/${path}`) as { readonly bytecode: Hex };
        return [name, bytecode] as [keyof SafeDeployment, Hex];
      });
    },
  );
  for (const [name, bytecode] of loaded) {
    const address = getContractAddress({ opcode: "CREATE2", from: singletonFactory, salt: zeroHash, bytecode });
    if (isAddressEqual(address, safeDeployments[release][name])) continue;
    throw new InvalidArgumentError(`The package ${peer} does not contain the contracts of Safe ${release}.`, {
      nextStep: `Install the release: npm install -D ${peer}@${release}`,
      context: { contract: name, address },
    });
  }
  return loaded;
}

const factoryAbi = parseAbi([
  "function createProxyWithNonce(address singleton, bytes initializer, uint256 saltNonce) returns (address proxy)",
  "function proxyCreationCode() view returns (bytes)",
]);
const setupAbi = parseAbi([
  "function setup(address[] owners, uint256 threshold, address to, bytes data, address fallbackHandler, address paymentToken, uint256 payment, address paymentReceiver)",
]);

/**
 * Deploys the Safe contracts and a Safe whose owners are the first accounts of the local chain. The Safe is the one for
 * layer 2, as Safe's app creates it. If an interrupted start already created this Safe, uses it.
 *
 * @throws InvalidArgumentError, MissingPackageError
 */
export async function createSafe(client: OwnerClient, options: WorldSafeOptions): Promise<WorldSafe> {
  requireSafeOptions(options);
  const { threshold, version = "1.5.0" } = options;
  const owners = Array.from({ length: options.owners }, (_, index) => devAccount(index).address);
  const { safeL2, proxyFactory, fallbackHandler, multiSendCallOnly } = await installSafeContracts(client, version);
  const initializer = encodeFunctionData({
    abi: setupAbi,
    args: [owners, BigInt(threshold), zeroAddress, "0x", fallbackHandler, zeroAddress, 0n, zeroAddress],
  });
  const creationCode = await readContract(client, {
    address: proxyFactory,
    abi: factoryAbi,
    functionName: "proxyCreationCode",
  });
  const bytecode = concat([creationCode, pad(safeL2)]);
  for (let saltNonce = 0n; ; saltNonce += 1n) {
    const salt = keccak256(concat([keccak256(initializer), numberToHex(saltNonce, { size: 32 })]));
    const address = getContractAddress({ opcode: "CREATE2", from: proxyFactory, salt, bytecode });
    const safe = { address, version, threshold, owners, multiSend: multiSendCallOnly };
    if ((await readCode(client, { address })) === "0x") {
      const functionName = "createProxyWithNonce";
      const data = encodeFunctionData({ abi: factoryAbi, functionName, args: [safeL2, initializer, saltNonce] });
      await send(client, { to: proxyFactory, data, functionName });
      return safe;
    }
    if (await isUnchanged(client, safe)) return safe;
  }
}

async function isUnchanged(client: OwnerClient, { address, threshold, owners }: WorldSafe): Promise<boolean> {
  const found = await readOwner(client, { address });
  return found.kind === "safe" && found.threshold === BigInt(threshold) && String(found.owners) === String(owners);
}

/** The account of `client` offers the app to the Safe, and the Safe accepts. An app of another owner is not changed. */
export async function giveAppToSafe(client: OwnerClient, appId: AppId, safe: WorldSafe): Promise<void> {
  const { owner, pendingOwner } = await readOwnership(client, { appId });
  if (!isAddressEqual(owner, client.account.address)) return;
  if (pendingOwner === undefined || !isAddressEqual(pendingOwner, safe.address)) {
    const { to, data, functionName } = transferOwnershipCall({ appId, newOwner: safe.address });
    await send(client, { to, data, functionName });
  }
  await executeAsSafe(client, acceptOwnershipCall({ appId }), safe);
}

async function executeAsSafe(client: OwnerClient, call: OwnerCall, safe: WorldSafe): Promise<void> {
  const found = await readOwner(client, { address: safe.address });
  if (found.kind !== "safe") throw new TypeError(`${safe.address} is not a Safe.`);
  const safeTx = buildSafeTx({ calls: [call], multiSend: safe.multiSend, nonce: found.nonce });
  const hash = hashSafeTx(safeTx, { chainId: client.chain.id, safe: safe.address, version: safe.version });
  const signers = safe.owners.slice(0, safe.threshold).map((_, index) => devAccount(index));
  const signatures = signers.map(async (signer): Promise<SafeSignature> => {
    return { kind: "ecdsa", signer: signer.address, signature: await signer.sign({ hash }) };
  });
  const data = encodeExecTransaction(safeTx, encodeSafeSignatures(await Promise.all(signatures)));
  await send(client, { to: safe.address, data, functionName: "execTransaction" });
}

interface SendParameters {
  readonly to: Address;
  readonly data: Hex;
  readonly functionName: string;
}

async function send(client: OwnerClient, { to, data, functionName }: SendParameters): Promise<void> {
  const transactionHash = parseTransactionHash(await sendTransaction(client, { to, data }));
  await waitForReceipt(client, { transactionHash, functionName });
}

export interface OpenSafeParameters {
  /** The world's state. */
  readonly state: { readonly safe: WorldSafe | undefined; noteSafe(safe: WorldSafe): void };
  readonly client: OwnerClient;
  /** App of the on-chain CVM, if there is one. */
  readonly appId: AppId | undefined;
  readonly options: WorldSafeOptions | undefined;
}

/**
 * Returns the Safe of an earlier run, or creates the one that the caller wants and makes it the owner of the app.
 *
 * @throws InvalidArgumentError if the world has another Safe
 */
export async function openSafe(parameters: OpenSafeParameters): Promise<WorldSafe | undefined> {
  const { state, client, appId, options } = parameters;
  if (state.safe === undefined) {
    if (options === undefined) return undefined;
    const safe = await createSafe(client, options);
    if (appId !== undefined) await giveAppToSafe(client, appId, safe);
    state.noteSafe(safe);
    return safe;
  }
  const { threshold, owners, version } = state.safe;
  const isOther =
    options !== undefined &&
    (options.threshold !== threshold || options.owners !== owners.length || (options.version ?? version) !== version);
  if (!isOther) return state.safe;
  throw new InvalidArgumentError(`This world has a Safe ${version} already: ${threshold} of ${owners.length} owners.`, {
    nextStep: "Leave out `safe`, or use another state file.",
    context: { threshold, owners: owners.length, version },
  });
}
