import {
  type Address,
  concat,
  decodeFunctionData,
  encodeAbiParameters,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  multicall3Abi,
  numberToHex,
  size,
} from "viem";
import { dstackKmsAbi } from "../generated/abi.ts";
import { erc1967ProxyBytecode } from "../generated/bytecode.ts";
import { deterministicDeployer } from "./batch-executor.ts";

/** Address of Multicall3 on Base and most other chains. */
export const multicall3Address: Address = "0xca11bde05977b3631167028862be2a173976ca11";

/** A call that deploys a contract of the user's, or registers it. */
export interface DeploymentCall {
  readonly to: Address;
  readonly data: Hex;
}

/** A contract whose address follows from its code, its initial data and the salt. */
export interface DeterministicContract {
  /** Lower case. */
  readonly address: Address;
  /** Makes the deterministic-deployment proxy create it. Any account may send it, and only once. */
  readonly deployment: DeploymentCall;
}

function deterministic(bytecode: Hex, salt: Hex): DeterministicContract {
  const address = getContractAddress({ opcode: "CREATE2", from: deterministicDeployer, salt, bytecode });
  return {
    address: `0x${address.slice(2).toLowerCase()}`,
    deployment: { to: deterministicDeployer, data: concat([salt, bytecode]) },
  };
}

/** The implementation with this creation code. */
export function implementationOf(bytecode: Hex): DeterministicContract {
  return deterministic(bytecode, numberToHex(0, { size: 32 }));
}

/** OpenZeppelin's ERC-1967 proxy of an implementation, initialised when it is created. */
export function proxyOf(implementation: Address, data: Hex, salt: bigint): DeterministicContract {
  const args = encodeAbiParameters([{ type: "address" }, { type: "bytes" }], [implementation, data]);
  return deterministic(concat([erc1967ProxyBytecode, args]), numberToHex(salt, { size: 32 }));
}

/** The call that registers an app at a KMS. Any account may make it. */
export function registrationOf(appId: Address, kms: Address): DeploymentCall {
  return { to: kms, data: encodeFunctionData({ abi: dstackKmsAbi, functionName: "registerApp", args: [appId] }) };
}

/** One transaction that makes all calls, or none. */
export function encodeDeployment(calls: readonly DeploymentCall[]): Hex {
  const batch = calls.map(({ to, data }) => ({ target: to, allowFailure: false, callData: data }));
  return encodeFunctionData({ abi: multicall3Abi, functionName: "aggregate3", args: [batch] });
}

/** Whether calldata for Multicall3 only deploys contracts and registers apps, all or nothing. */
export function isDeployment(data: Hex): boolean {
  try {
    const { functionName, args } = decodeFunctionData({ abi: multicall3Abi, data });
    if (functionName !== "aggregate3" || encodeFunctionData({ abi: multicall3Abi, functionName, args }) !== data)
      return false;
    const [calls] = args;
    return calls.length > 0 && calls.every((call) => !call.allowFailure && isDeploymentCall(call));
  } catch {
    return false;
  }
}

function isDeploymentCall({ target, callData }: { readonly target: Address; readonly callData: Hex }): boolean {
  if (target.toLowerCase() === deterministicDeployer) return size(callData) > 32;
  return decodeFunctionData({ abi: dstackKmsAbi, data: callData }).functionName === "registerApp";
}
