import { type Address, concat, encodeFunctionData, getContractAddress } from "viem";
import { batchExecutorAbi } from "../generated/abi.ts";
import { batchExecutorBytecode } from "../generated/batch-executor-bytecode.ts";
import type { Hex } from "./ids.ts";
import type { OwnerCall } from "./owner-calls.ts";

export { batchExecutorCodeHash } from "../generated/batch-executor-bytecode.ts";

/** The deterministic-deployment proxy. It deploys the same code to the same address on every chain, for any sender. */
export const deterministicDeployer: Address = "0x4e59b44847b379578588920ca78fbf26c0b4956c";

const salt: Hex = `0x${"00".repeat(32)}`;

/** Address of this version's BatchExecutor on every chain that has it. */
export const batchExecutorAddress: Address = lowerCase(
  getContractAddress({ opcode: "CREATE2", from: deterministicDeployer, salt, bytecode: batchExecutorBytecode }),
);

/** Calldata that makes the deterministic-deployment proxy deploy the executor. Any account may send it. */
export const batchExecutorDeployment: Hex = concat([salt, batchExecutorBytecode]);

/** Encodes the calldata that a delegating account sends to itself to make all calls in one transaction. */
export function encodeExecute(calls: readonly OwnerCall[]): Hex {
  return encodeFunctionData({
    abi: batchExecutorAbi,
    functionName: "execute",
    args: [calls.map(({ to, data }) => ({ target: to, data }))],
  });
}

function lowerCase(address: Address): Address {
  return `0x${address.slice(2).toLowerCase()}`;
}
