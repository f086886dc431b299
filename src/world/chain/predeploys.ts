import { createRequire } from "node:module";
import { type Chain, type Client, concat, type Hex, hexToBigInt, isHex, numberToHex, parseGwei } from "viem";
import { base, mainnet } from "viem/chains";
import { batchExecutorAddress, deterministicDeployer } from "../../core/batch-executor.ts";
import { multicall3Address } from "../../core/contract-deployment.ts";
import { batchExecutorBytecode } from "../../generated/batch-executor-bytecode.ts";

/**
 * Puts Multicall3 at its canonical address on a simulated chain (Hardhat's own, `hardhat node` or anvil), which does
 * not have it. Only clients whose chain definition names the contract use it. So pass viem's `base`: Hardhat's
 * definition of its own network names no contracts.
 */
export async function installMulticall3(client: Client): Promise<void> {
  const code = await client.request({ method: "eth_call", params: [{ data: creationCode() }, "latest"] });
  // anvil also supports this Hardhat method.
  await client.request<{ Method: "hardhat_setCode"; Parameters: [Hex, Hex | undefined]; ReturnType: boolean }>({
    method: "hardhat_setCode",
    params: [multicall3Address, code],
  });
}

/** viem contains the bytecode for its deployless calls, but does not export it. */
function creationCode(): Hex {
  const require = createRequire(import.meta.url);
  const constants: unknown = createRequire(require.resolve("viem"))("./constants/contracts.js");
  const code: unknown = Reflect.get(Object(constants), "multicall3Bytecode");
  if (!isHex(code)) throw new Error("This version of viem stores the code of Multicall3 in another place.");
  return code;
}

/** The proxy's 69 bytes. The first word of the calldata is the CREATE2 salt; the rest is the code to deploy. */
export const deployerCode: Hex =
  "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

/**
 * Puts the deterministic-deployment proxy and the batch executor at their addresses, as on a chain on which the
 * executor was used before. Base has the proxy from its genesis, and the executor from the first batch on.
 */
export async function installBatchExecutor(client: Client): Promise<void> {
  const code = await client.request({ method: "eth_call", params: [{ data: batchExecutorBytecode }, "latest"] });
  await setCode(client, deterministicDeployer, deployerCode);
  await setCode(client, batchExecutorAddress, code);
}

/** The OP stack's predeploy with the fees of a rollup. EDR reads them from its storage. */
export const l1BlockAddress = "0x4200000000000000000000000000000000000015";

/**
 * What the simulated chain takes besides gas: Base's scalars, an L1 base fee and a blob base fee as on quiet days, and a
 * small operator fee, which Base could take and does not.
 */
const rollupFees = {
  l1BaseFee: parseGwei("1"),
  blobBaseFee: parseGwei("0.01"),
  baseFeeScalar: 2_269,
  blobBaseFeeScalar: 1_055_762,
  /** Wei per million gas, as up to Isthmus. */
  operatorFeeScalar: 1_234_567,
  /** Wei per transaction. */
  operatorFeeConstant: parseGwei("2"),
} as const;

/**
 * Makes a simulated OP stack chain take an L1 data fee and an operator fee. EDR's own chain has the contracts of both,
 * with scalars of zero. A chain that takes an operator fee is left as it is.
 */
export async function installRollupFees(client: Client): Promise<void> {
  const { l1BaseFee, blobBaseFee, baseFeeScalar, blobBaseFeeScalar, operatorFeeScalar, operatorFeeConstant } =
    rollupFees;
  const [basefeeSlot, scalarsSlot, blobBaseFeeSlot, operatorSlot] = ["0x1", "0x3", "0x7", "0x8"] as const;
  const word = await client.request({
    method: "eth_getStorageAt",
    params: [l1BlockAddress, operatorSlot, "latest"],
  });
  if (hexToBigInt(word ?? "0x0") !== 0n) return;
  for (const [slot, value] of [
    [basefeeSlot, numberToHex(l1BaseFee, { size: 32 })],
    [scalarsSlot, pack([0n, 16], [baseFeeScalar, 4], [blobBaseFeeScalar, 4], [0n, 8])],
    [blobBaseFeeSlot, numberToHex(blobBaseFee, { size: 32 })],
    // The last one, as it shows that all are set.
    [operatorSlot, pack([0n, 20], [operatorFeeScalar, 4], [operatorFeeConstant, 8])],
  ] as const) {
    await client.request<{ Method: "hardhat_setStorageAt"; Parameters: [Hex, Hex, Hex]; ReturnType: boolean }>({
      method: "hardhat_setStorageAt",
      params: [l1BlockAddress, slot, value],
    });
  }
}

/** Numbers of a storage slot, each with its size in bytes, the highest bytes first. */
function pack(...numbers: readonly (readonly [value: number | bigint, size: number])[]): Hex {
  return concat(numbers.map(([value, size]) => numberToHex(value, { size })));
}

export async function setCode(client: Client, address: Hex, code: Hex): Promise<void> {
  await client.request<{ Method: "hardhat_setCode"; Parameters: [Hex, Hex]; ReturnType: boolean }>({
    method: "hardhat_setCode",
    params: [address, code],
  });
}

/** Chain id of Base, and of every new chain whose id is not chosen. */
export const baseChainId = base.id;

/**
 * The chain description that EDR needs to run or fork Base. EDR does not know Base or its hardforks. Up to Isthmus (the
 * Prague EVM) they are those of the OP stack.
 */
export const baseChainDescriptor = {
  name: "Base",
  chainType: "op",
  hardforkHistory: {
    bedrock: { timestamp: 0 },
    regolith: { timestamp: 0 },
    canyon: { timestamp: 1704992401 },
    ecotone: { timestamp: 1710374401 },
    fjord: { timestamp: 1720627201 },
    granite: { timestamp: 1726070401 },
    holocene: { timestamp: 1736445601 },
    isthmus: { timestamp: 1746806401 },
  },
} as const;

/** The same for Base Sepolia, whose chain id is 84532. */
export const baseSepoliaChainDescriptor = {
  name: "Base Sepolia",
  chainType: "op",
  hardforkHistory: {
    bedrock: { timestamp: 0 },
    regolith: { timestamp: 0 },
    canyon: { timestamp: 1699981200 },
    ecotone: { timestamp: 1708534800 },
    fjord: { timestamp: 1716998400 },
    granite: { timestamp: 1723478400 },
    holocene: { timestamp: 1732633200 },
    isthmus: { timestamp: 1744905600 },
  },
} as const;

/** A chain that the platform uses, and the engine's rules that are closest to it. */
export interface PlatformChain {
  readonly chainType: "op" | "l1";
  readonly definition: Chain;
}

/** Undefined for a chain that the platform does not use. */
export function findPlatformChain(id: number): PlatformChain | undefined {
  return platformChains.find(({ definition }) => definition.id === id);
}

// A cast to `Chain`, because the formatters of OP fields are not part of this API.
export const baseChain: PlatformChain = { chainType: "op", definition: base as Chain };
const platformChains = [baseChain, { chainType: "l1", definition: mainnet }] as const;
