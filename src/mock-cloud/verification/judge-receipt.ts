import { isAddressEqual, toEventSelector } from "viem";
import { alreadyRegistered } from "../../cloud/protocol.ts";
import { type Generation, generations } from "../../core/generation.ts";
import type { AppId, ComposeHash, Hex, TransactionHash } from "../../core/ids.ts";
import { whyNotJudged } from "./generation.ts";

/** What the backend itself read from the chain. */
export interface RegistrationEvidence {
  /** Chain id that the backend's endpoint reports. */
  readonly chainId: number;
  /** Undefined when the chain has no such transaction, or when the claim names none. */
  readonly receipt: JudgedReceipt | undefined;
  /** `allowedComposeHashes` of the app, read at the receipt's block or a later one. */
  readonly isHashAllowed: boolean;
  /** Generation of the app's contract. @default the first generation, whose rules are implemented here */
  readonly generation?: Generation | undefined;
}

export interface JudgedReceipt {
  readonly status: "success" | "reverted";
  readonly logs: readonly JudgedLog[];
}

export interface JudgedLog {
  readonly address: Hex;
  readonly topics: readonly Hex[];
  readonly data: Hex;
}

/** What the client claims. */
export interface RegistrationClaim {
  readonly chainId: number;
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly transactionHash: TransactionHash | typeof alreadyRegistered;
}

export type RegistrationVerdict =
  | { readonly kind: "verified" }
  | { readonly kind: "transaction-not-verified"; readonly message: string }
  | { readonly kind: "hash-not-allowed"; readonly message: string }
  /** The backend's endpoint serves another chain than the app's, so nothing can be verified. */
  | { readonly kind: "wrong-chain" };

const composeHashAdded = toEventSelector("ComposeHashAdded(bytes32)");

/**
 * Decides whether a compose hash is registered. The transaction may call any contract (a Safe, a batcher). It proves
 * the registration if the app's own contract emitted ComposeHashAdded for this hash and still allows the hash.
 */
export function judgeReceipt(evidence: RegistrationEvidence, claim: RegistrationClaim): RegistrationVerdict {
  const { appId, composeHash, transactionHash } = claim;
  if (evidence.chainId !== claim.chainId) return { kind: "wrong-chain" };
  const { generation = generations.first } = evidence;
  if (generation.hasKeyEpochs !== false)
    return { kind: "hash-not-allowed", message: `${whyNotJudged(appId, generation)}.` };
  const isStateOnly = transactionHash === alreadyRegistered;
  const problem = isStateOnly ? undefined : findReceiptProblem(evidence.receipt, claim);
  if (problem !== undefined) {
    return { kind: "transaction-not-verified", message: `Transaction ${transactionHash} ${problem}.` };
  }
  if (evidence.isHashAllowed) return { kind: "verified" };
  const after = isStateOnly ? "" : " any more: it was removed after the transaction had added it";
  return {
    kind: "hash-not-allowed",
    message: `App contract ${appId} does not allow compose hash ${composeHash}${after}.`,
  };
}

function findReceiptProblem(receipt: JudgedReceipt | undefined, claim: RegistrationClaim): string | undefined {
  const { appId, chainId, composeHash } = claim;
  if (!receipt) return `was not found on chain ${chainId}`;
  if (receipt.status === "reverted") return "was reverted";
  const additions = receipt.logs.flatMap((log) => {
    const added = readAddition(log);
    return added === undefined ? [] : [{ emitter: log.address, added }];
  });
  const fromApp = additions.filter(({ emitter }) => isAddressEqual(emitter, appId));
  if (fromApp.some(({ added }) => added === composeHash)) return undefined;
  if (fromApp.length > 0) return `added another compose hash: ${fromApp.map(({ added }) => added).join(", ")}`;
  const elsewhere = additions.find(({ added }) => added === composeHash);
  if (elsewhere) return `added the compose hash to contract ${elsewhere.emitter}, not to the app's, ${appId}`;
  return `holds no ComposeHashAdded event of app contract ${appId}`;
}

/** The hash that a log says was added. Logs with an indexed argument or data that is not 32 bytes are ignored. */
function readAddition({ topics, data }: JudgedLog): Hex | undefined {
  const isExact = topics.length === 1 && topics[0]?.toLowerCase() === composeHashAdded && data.length === 66;
  return isExact ? (data.toLowerCase() as Hex) : undefined; // lower-casing keeps it hex
}
