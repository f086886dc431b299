import { type Address, concat, encodeFunctionData, type Hex, hexToBigInt, isAddressEqual, parseAbi, slice } from "viem";
import { ethCall } from "../chain/calls.ts";
import type { ChainClient } from "../chain/client.ts";
import { mapLimited } from "../core/map-limited.ts";
import { type SafeTx, safeTxHashes } from "../core/safe.ts";
import { decodeSafeSignatures, type SafeSignature } from "../core/safe-signing.ts";
import { isDstackError } from "../errors/index.ts";
import type { SafeAccount } from "./safe-account.ts";

/** A confirmation as a service or a file states it. */
export interface StatedConfirmation {
  /** Whose it is said to be. */
  readonly owner: Address;
  readonly signature: Hex;
}

/** A confirmation that does not count. */
export interface RejectedConfirmation {
  readonly owner: Address;
  /** The end of a sentence that begins with the owner. */
  readonly problem: string;
}

export interface CheckedConfirmations {
  /** One of each owner, and only of the Safe's present owners. */
  readonly confirmations: readonly SafeSignature[];
  readonly rejected: readonly RejectedConfirmation[];
}

const approvedAbi = parseAbi(["function approvedHashes(address owner, bytes32 hash) view returns (uint256)"]);
const contractAbi = parseAbi(["function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)"]);
/** The form that a Safe before version 1.5.0 calls. */
const legacyContractAbi = parseAbi(["function isValidSignature(bytes data, bytes signature) view returns (bytes4)"]);
const requestsAtOnce = 8;

/**
 * Checks each confirmation: its signature must be the owner's, for this transaction, and the owner must be one of the
 * Safe's present owners. An approval without a signature must be on the chain. A contract's signature must be valid by
 * the contract's own word.
 *
 * @throws RpcUnavailableError
 */
export async function checkConfirmations(
  client: ChainClient,
  account: SafeAccount,
  { safeTx, stated }: { readonly safeTx: SafeTx; readonly stated: readonly StatedConfirmation[] },
): Promise<CheckedConfirmations> {
  const hashes = safeTxHashes(safeTx, account);
  const check = async ({ owner, signature }: StatedConfirmation): Promise<SafeSignature | RejectedConfirmation> => {
    if (!account.owners.some((one) => isAddressEqual(one, owner)))
      return { owner, problem: "is not an owner of the Safe" };
    const decoded = await decodeSafeSignatures({ signatures: signature, safeTxHash: hashes.safeTxHash }).catch(
      (error: unknown) => {
        if (isDstackError(error)) return [];
        throw error;
      },
    );
    const [entry, ...more] = decoded;
    if (entry === undefined || more.length > 0) return { owner, problem: "has a signature that cannot be read" };
    if (!isAddressEqual(entry.signer, owner)) return { owner, problem: "did not sign this transaction" };
    const problem = await findProblemOnChain(client, account, { entry, hashes });
    return problem === undefined ? entry : { owner, problem };
  };
  const checked = await mapLimited(stated, check, { limit: requestsAtOnce });
  const valid = checked.filter((one) => "kind" in one);
  return {
    confirmations: [...new Map(valid.toReversed().map((entry) => [entry.signer, entry])).values()].toReversed(),
    rejected: checked.flatMap((one) => ("kind" in one ? [] : [one])),
  };
}

interface Asked {
  readonly entry: SafeSignature;
  readonly hashes: ReturnType<typeof safeTxHashes>;
}

async function findProblemOnChain(
  client: ChainClient,
  { safe, version }: SafeAccount,
  { entry, hashes }: Asked,
): Promise<string | undefined> {
  const { safeTxHash, domainHash, messageHash } = hashes;
  const { signer } = entry;
  if (entry.kind === "approved-hash") {
    const data = encodeFunctionData({ abi: approvedAbi, args: [signer, safeTxHash] });
    const answer = await ethCall(client, { to: safe, data, abi: approvedAbi, doing: "reading an owner's approval" });
    const isApproved = answer.data !== undefined && answer.data !== "0x" && hexToBigInt(answer.data) > 0n;
    return isApproved ? undefined : "has not approved the transaction on the chain";
  }
  if (entry.kind !== "contract") return undefined;
  const isLegacy = Number(version.split(".")[0]) < 1 || /^1\.[0-4]\./.test(version);
  const preimage = concat(["0x1901", domainHash, messageHash]);
  const data = isLegacy
    ? encodeFunctionData({ abi: legacyContractAbi, args: [preimage, entry.signature] })
    : encodeFunctionData({ abi: contractAbi, args: [safeTxHash, entry.signature] });
  const doing = "asking a contract whether its signature is valid";
  const answer = await ethCall(client, { to: signer, data, abi: contractAbi, doing });
  const isValid =
    answer.data !== undefined && answer.data.length >= 66 && slice(answer.data, 0, 4) === slice(data, 0, 4);
  return isValid ? undefined : "is a contract that does not accept its signature";
}
