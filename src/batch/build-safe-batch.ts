import { type Address, encodeFunctionData, getAddress, parseAbi } from "viem";
import { ethCall } from "../chain/calls.ts";
import { type ChainClient, requireChain } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { readOwner } from "../chain/read-owner.ts";
import type { Hex } from "../core/ids.ts";
import { orderCalls } from "../core/order-calls.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { buildSafeTx, hashSafeTx, type SafeTx } from "../core/safe.ts";
import { buildTransactionBuilderFile, type TransactionBuilderFile } from "../core/safe-builder-file.ts";
import { multiSendCallOnlyAddresses, safeDeployments } from "../core/safe-deployments.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { requireEffect } from "./require-effect.ts";
import { simulateCalls } from "./simulate-calls.ts";

export interface BuildSafeBatchParameters {
  readonly calls: readonly OwnerCall[];
  /** The Safe that owns the contracts. */
  readonly safe: Address;
  /** Title of the batch in the Safe app. */
  readonly name?: string | undefined;
  readonly chainId?: number | undefined;
  /**
   * Nonce of the Safe transaction. @default the Safe's next nonce. Give a later one if other transactions are queued.
   */
  readonly nonce?: bigint | undefined;
  /** @default Safe's own MultiSendCallOnly */
  readonly multiSend?: Address | undefined;
  /** Also builds calls that change nothing. */
  readonly allowNoEffect?: boolean | undefined;
}

export interface SafeBatch {
  readonly safe: Address;
  readonly chainId: number;
  readonly version: string;
  /** Number of signatures the Safe requires. */
  readonly threshold: bigint;
  readonly owners: readonly Address[];
  /** In the order in which the Safe executes them. */
  readonly calls: readonly OwnerCall[];
  /** For the Transaction Builder of the Safe app. */
  readonly file: TransactionBuilderFile;
  /** The same calls as one transaction of the Safe. */
  readonly safeTx: SafeTx;
  /** The hash that the owners' wallets must show for `safeTx`. */
  readonly safeTxHash: Hex;
}

const abi = parseAbi([
  "function getTransactionHash(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, uint256 nonce) view returns (bytes32)",
]);

/**
 * Prepares calls for the Safe that owns the contracts. Returns a file to import, and the Safe transaction with its
 * hash. The owners compare this hash with the one their wallets show. The node simulates the calls as the Safe, except
 * those behind a call that changes who may call or which code runs. The Safe computes the hash too, and both hashes
 * must agree. Sends nothing.
 *
 * @throws InvalidArgumentError if the address is not a Safe, or the chain has no MultiSendCallOnly
 * @throws NoEffectError, NotOwnerError, ContractOwnerError, ContractRevertedError, NoContractError, WrongChainError,
 * RpcUnavailableError
 *
 * @example
 * import { writeFile } from "node:fs/promises";
 * import { buildSafeBatch } from "dstack-toolkit/batch";
 * import { calls, client, safe } from "./app.js";
 * const { file, safeTxHash } = await buildSafeBatch(client, { safe, calls });
 * await writeFile("safe-batch.json", JSON.stringify(file));
 * console.log("The wallets of the Safe's owners must show", safeTxHash);
 */
export async function buildSafeBatch(client: ChainClient, parameters: BuildSafeBatchParameters): Promise<SafeBatch> {
  const { safe, name = "dstack policy changes", allowNoEffect = false } = parameters;
  const calls = orderCalls(parameters.calls);
  if (calls.length === 0) throw new InvalidArgumentError("No calls were given for the Safe batch.");
  const chainId = await requireChain(client, parameters.chainId);
  const owner = await readOwner(client, { address: safe });
  if (owner.kind !== "safe") {
    throw new InvalidArgumentError(`${safe} is not a Safe.`, {
      nextStep:
        "Only a Safe can use this file. Send the calls as the owner, or through the contract that owns the app.",
      context: { safe, kind: owner.kind },
    });
  }
  if (!allowNoEffect) await requireEffect(client, calls);
  await simulateCalls(client, { from: safe, calls });
  const { version, threshold, owners } = owner;
  const multiSend = parameters.multiSend ?? (calls.length === 1 ? safe : await findMultiSend(client, { version }));
  const safeTx = buildSafeTx({ calls, multiSend, nonce: parameters.nonce ?? owner.nonce });
  const safeTxHash = hashSafeTx(safeTx, { chainId, safe, version });
  await requireSameHash(client, { safe, safeTx, safeTxHash });
  const file = buildTransactionBuilderFile({ calls, chainId, safe, name, createdAt: Date.now() });
  return { safe: getAddress(safe), chainId, version, threshold, owners, calls, file, safeTx, safeTxHash };
}

/** A fork or an unusual version of the Safe may compute another hash. Its owners would then sign something else. */
async function requireSameHash(
  client: ChainClient,
  { safe, safeTx, safeTxHash }: Pick<SafeBatch, "safe" | "safeTx" | "safeTxHash">,
): Promise<void> {
  const { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, nonce } = safeTx;
  const question = encodeFunctionData({
    abi,
    args: [to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, nonce],
  });
  const answer = await ethCall(client, { to: safe, data: question, abi, doing: "asking the Safe for the hash" });
  if (answer.data?.toLowerCase() === safeTxHash) return;
  throw new InvalidArgumentError(`${safe} computes another hash than a Safe computes.`, {
    nextStep: "Do not sign. Check that the address is your Safe.",
    context: { safe, expected: safeTxHash, actual: answer.data },
  });
}

export interface FindMultiSendParameters {
  /** The return value of the Safe's `VERSION`. */
  readonly version: string;
}

/**
 * Finds MultiSendCallOnly on this chain. Prefers the deployment of the Safe's own version.
 *
 * @throws InvalidArgumentError if the chain has none of them; RpcUnavailableError
 *
 * @example
 * import { findMultiSend } from "dstack-toolkit/batch";
 * import { client } from "./app.js";
 * const multiSend = await findMultiSend(client, { version: "1.4.1" });
 */
export async function findMultiSend(client: ChainClient, { version }: FindMultiSendParameters): Promise<Address> {
  // The Safe app uses the deployment of the Safe's own version. Using the same one gives the hash that the signers see.
  const own = Object.entries(safeDeployments).flatMap(([release, { multiSendCallOnly }]) =>
    version.startsWith(release.slice(0, 4)) ? [multiSendCallOnly] : [],
  );
  for (const address of new Set([...own, ...multiSendCallOnlyAddresses]))
    if ((await readCode(client, { address })) !== "0x") return address;
  throw new InvalidArgumentError("Safe's MultiSendCallOnly is at none of its known addresses on this chain.", {
    nextStep: "Give the address of the one that your Safe uses (multiSend), or send the calls one at a time.",
    context: { looked: multiSendCallOnlyAddresses },
  });
}
