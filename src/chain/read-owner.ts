import {
  type Address,
  decodeAbiParameters,
  encodeFunctionData,
  getAddress,
  type Hex,
  hexToBigInt,
  keccak256,
  parseAbi,
  size,
  stringToHex,
  zeroAddress,
} from "viem";
import { getBalance, getTransactionCount } from "viem/actions";
import { callMany } from "./calls.ts";
import type { ChainClient } from "./client.ts";
import { delegateOf, readCode } from "./code.ts";
import { withRpcErrors } from "./rpc-errors.ts";

export interface ReadOwnerParameters {
  /** The owner itself, not the contract it owns. */
  readonly address: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/** What kind of account or contract an owner address is. */
export type ReadOwnerReturnType = {
  readonly address: Address;
} /** The zero address: no account can change the contract any more. */ & (
  | { readonly kind: "renounced" }
  | {
      readonly kind: "eoa";
      /**
       * Whether it has sent a transaction or has a balance. It is possible that no key exists for an unused address.
       */
      readonly isUsed: boolean;
      /** The contract it delegates to (EIP-7702). Its key still signs. */
      readonly delegatedTo: Address | undefined;
    }
  | {
      readonly kind: "safe";
      readonly version: string;
      readonly threshold: bigint;
      readonly owners: readonly Address[];
      /** Nonce of the next transaction. */
      readonly nonce: bigint;
    }
  | { readonly kind: "timelock"; readonly minDelaySeconds: bigint }
  /** Its answers do not show whether it can call other contracts. */
  | { readonly kind: "contract" }
);

const abi = parseAbi([
  "function VERSION() view returns (string)",
  "function getThreshold() view returns (uint256)",
  "function getOwners() view returns (address[])",
  "function nonce() view returns (uint256)",
  "function getMinDelay() view returns (uint256)",
  "function PROPOSER_ROLE() view returns (bytes32)",
]);
/** The value that OpenZeppelin's TimelockController returns for its role. */
const proposerRole = keccak256(stringToHex("PROPOSER_ROLE"));

/**
 * Tells an EOA from a Safe, a timelock and other contracts by what the address answers. A contract can answer like a
 * Safe without being one, so the result is a description and not a proof.
 *
 * @throws RpcUnavailableError
 *
 * @example
 * import { readOwner } from "dstack-toolkit/chain";
 * import { client, safe } from "./app.js";
 * const owner = await readOwner(client, { address: safe });
 * if (owner.kind === "safe") console.log(owner.owners);
 */
export async function readOwner(
  client: ChainClient,
  { address, blockNumber }: ReadOwnerParameters,
): Promise<ReadOwnerReturnType> {
  if (address === zeroAddress) return { address, kind: "renounced" };
  const code = await readCode(client, { address, blockNumber });
  const delegate = delegateOf(code);
  if (code === "0x" || delegate !== undefined) {
    const delegatedTo = delegate && getAddress(delegate);
    return { address, kind: "eoa", isUsed: await readIsUsed(client, address, blockNumber), delegatedTo };
  }
  const { answers } = await callMany(client, {
    to: address,
    abi,
    calls: abi.map(({ name }) => encodeFunctionData({ abi, functionName: name })),
    blockNumber,
    doing: "reading what kind of account the owner is",
  });
  return { address, ...describe(answers) };
}

type Description =
  Exclude<ReadOwnerReturnType, { kind: "renounced" | "eoa" }> extends infer Kind
    ? Kind extends unknown
      ? Omit<Kind, "address">
      : never
    : never;

function describe(answers: readonly (Hex | undefined)[]): Description {
  const [version, threshold, owners, nonce, minDelay, role] = answers;
  const safe = {
    version: decode(version, (data) => decodeAbiParameters([{ type: "string" }], data)[0]),
    threshold: decode(threshold, hexToBigInt),
    owners: decode(owners, (data) => decodeAbiParameters([{ type: "address[]" }], data)[0]),
    nonce: decode(nonce, hexToBigInt),
  };
  if (isSafe(safe)) return { kind: "safe", ...safe };
  const minDelaySeconds = decode(minDelay, hexToBigInt);
  return minDelaySeconds !== undefined && role === proposerRole
    ? { kind: "timelock", minDelaySeconds }
    : { kind: "contract" };
}

interface SafeAnswers {
  readonly version: string | undefined;
  readonly threshold: bigint | undefined;
  readonly owners: readonly Address[] | undefined;
  readonly nonce: bigint | undefined;
}

function isSafe(answers: SafeAnswers): answers is { [name in keyof SafeAnswers]: NonNullable<SafeAnswers[name]> } {
  const { version, threshold, owners, nonce } = answers;
  if (version === undefined || threshold === undefined || owners === undefined || nonce === undefined) return false;
  return threshold > 0n && threshold <= BigInt(owners.length);
}

function decode<Value>(data: Hex | undefined, read: (data: Hex) => Value): Value | undefined {
  if (data === undefined || size(data) < 32) return undefined;
  try {
    return read(data);
  } catch {
    return undefined;
  }
}

async function readIsUsed(client: ChainClient, address: Address, blockNumber: bigint | undefined): Promise<boolean> {
  const at = blockNumber === undefined ? {} : { blockNumber };
  const [nonce, balance] = await withRpcErrors(client, "reading the owner's account", () =>
    Promise.all([getTransactionCount(client, { address, ...at }), getBalance(client, { address, ...at })]),
  );
  return nonce > 0 || balance > 0n;
}
