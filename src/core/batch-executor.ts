import { type Address, concat, encodeFunctionData, getContractAddress } from "viem";
import { batchExecutorAbi } from "../generated/abi.ts";
import { batchExecutorBytecode } from "../generated/batch-executor-bytecode.ts";
import type { Hex } from "./ids.ts";
import type { PolicyCall } from "./owner-calls.ts";

export { batchExecutorCodeHash } from "../generated/batch-executor-bytecode.ts";

/** The deterministic-deployment proxy: whoever sends it the same code gets the same address, on every chain. */
export const deterministicDeployer: Address = "0x4e59b44847b379578588920ca78fbf26c0b4956c";

const salt: Hex = `0x${"00".repeat(32)}`;

/** Where this version's BatchExecutor is, on every chain that has it. */
export const batchExecutorAddress: Address = lowerCase(
  getContractAddress({ opcode: "CREATE2", from: deterministicDeployer, salt, bytecode: batchExecutorBytecode }),
);

/** Calldata for the deterministic-deployment proxy that puts the executor there. Anybody may send it. */
export const batchExecutorDeployment: Hex = concat([salt, batchExecutorBytecode]);

/** Calldata an account sends to itself to make the calls at once. */
export function encodeExecute(calls: readonly PolicyCall[]): Hex {
  return encodeFunctionData({
    abi: batchExecutorAbi,
    functionName: "execute",
    args: [calls.map(({ to, data }) => ({ target: to, data }))],
  });
}

function lowerCase(address: Address): Address {
  return `0x${address.slice(2).toLowerCase()}`;
}
