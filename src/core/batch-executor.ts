import { type Address, concat, encodeAbiParameters, encodeFunctionData, getContractAddress } from "viem";
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

/**
 * Addresses of the executors of earlier versions, oldest first. Each address follows from the code there. They accept
 * no ERC-7821 calls: such a call succeeds and does nothing.
 */
export const earlierBatchExecutors: readonly Address[] = [
  "0xc1abb5605631b4726fc5e16c333c169a2dd5fe3a",
  "0x06fcb6f9b087f03ebc3629a8c2681225b7c83195",
];

export function isEarlierBatchExecutor(address: Address): boolean {
  return earlierBatchExecutors.includes(lowerCase(address));
}

/** Calldata that makes the deterministic-deployment proxy deploy the executor. Any account may send it. */
export const batchExecutorDeployment: Hex = concat([salt, batchExecutorBytecode]);

/** ERC-7821's mode for one batch of calls that succeed or revert together. */
const batchMode: Hex = `0x01${"00".repeat(31)}`;
/** `Call[]` of ERC-7821. */
const batchCalls = [
  {
    type: "tuple[]",
    components: [
      { name: "to", type: "address" },
      { name: "value", type: "uint256" },
      { name: "data", type: "bytes" },
    ],
  },
] as const;

/** Encodes the calldata that a delegating account sends to itself to make all calls in one transaction (ERC-7821). */
export function encodeExecute(calls: readonly OwnerCall[]): Hex {
  const executionData = encodeAbiParameters(batchCalls, [calls.map(({ to, data }) => ({ to, value: 0n, data }))]);
  return encodeFunctionData({ abi: batchExecutorAbi, functionName: "execute", args: [batchMode, executionData] });
}

function lowerCase(address: Address): Address {
  return `0x${address.slice(2).toLowerCase()}`;
}
