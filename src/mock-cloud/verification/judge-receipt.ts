import { isAddressEqual, toEventSelector } from "viem";
import { alreadyRegistered } from "../../cloud/protocol.ts";
import { type Generation, generations } from "../../core/generation.ts";
import type { AppId, ComposeHash, Hex, TransactionHash } from "../../core/ids.ts";
import { whyNotJudged } from "./generation.ts";

/** What the backend itself read from the chain. */
export interface RegistrationEvidence {
  /** Chain id that the backend's endpoint reports. */
  readonly chainId: number;
  /** Undefined when no block of the chain has such a transaction, or when the claim names none. */
  readonly receipt: JudgedReceipt | undefined;
  /** Whether the endpoint knows the transaction although no block has it. @default false */
  readonly isPending?: boolean | undefined;
  /** `allowedComposeHashes` of the app, read at the receipt's block or a later one. */
  readonly isHashAllowed: boolean;
  /** Whether the KMS that the claim names has registered the app. Not judged if it is absent. */
  readonly isAppRegistered?: boolean | undefined;
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
  /** A later look may find the registration. The API answers 467 for `not-mined`: the client may confirm again. */
  | { readonly kind: "waiting"; readonly reason: "not-mined" | "not-final"; readonly message: string }
  /** The transaction proves nothing about this app and hash: 467. */
  | { readonly kind: "transaction-not-verified"; readonly reason: TransactionProblem; readonly message: string }
  /** The app does not allow the hash at the block that was read: 468. */
  | { readonly kind: "hash-not-allowed"; readonly reason: HashProblem; readonly message: string }
  /** The backend's endpoint serves another chain than the app's, so nothing can be verified: 503. */
  | { readonly kind: "wrong-chain" };

/** Why a transaction proves nothing. `not-found` may pass, if the endpoint is behind. */
export type TransactionProblem = "not-found" | "reverted" | "other-hash" | "other-contract" | "no-event";

/** Why a hash counts as not allowed, whatever the receipt says. */
export type HashProblem = "not-allowed" | "removed" | "other-generation" | "app-not-registered";

const composeHashAdded = toEventSelector("ComposeHashAdded(bytes32)");

/**
 * Decides whether a compose hash is registered. The transaction may call any contract (a Safe, a batcher). It proves
 * the registration if the app's own contract emitted ComposeHashAdded for this hash and still allows the hash. Pure:
 * `verifyRegistration` reads the evidence and calls it.
 *
 * @example
 * import { judgeReceipt } from "dstack-toolkit/mock-cloud";
 * import { appId, composeHash, receipt, transactionHash } from "./app.js";
 * const claim = { chainId: 8453, appId, composeHash, transactionHash };
 * const { kind } = judgeReceipt({ chainId: 8453, receipt, isHashAllowed: true }, claim);
 */
export function judgeReceipt(evidence: RegistrationEvidence, claim: RegistrationClaim): RegistrationVerdict {
  const { appId, composeHash, transactionHash } = claim;
  if (evidence.chainId !== claim.chainId) return { kind: "wrong-chain" };
  const { generation = generations.first } = evidence;
  if (generation.hasKeyEpochs !== false) {
    const message = `${whyNotJudged(appId, generation)}.`;
    return { kind: "hash-not-allowed", reason: "other-generation", message };
  }
  const isStateOnly = transactionHash === alreadyRegistered;
  if (!isStateOnly && evidence.receipt === undefined && evidence.isPending === true) {
    const message = `Transaction ${transactionHash} is not mined yet.`;
    return { kind: "waiting", reason: "not-mined", message };
  }
  const problem = isStateOnly ? undefined : findReceiptProblem(evidence.receipt, claim);
  if (problem !== undefined) {
    const [reason, what] = problem;
    return { kind: "transaction-not-verified", reason, message: `Transaction ${transactionHash} ${what}.` };
  }
  if (evidence.isAppRegistered === false) {
    const message = `The KMS has not registered app contract ${appId}.`;
    return { kind: "hash-not-allowed", reason: "app-not-registered", message };
  }
  if (evidence.isHashAllowed) return { kind: "verified" };
  const after = isStateOnly ? "" : " any more: it was removed after the transaction had added it";
  return {
    kind: "hash-not-allowed",
    reason: isStateOnly ? "not-allowed" : "removed",
    message: `App contract ${appId} does not allow compose hash ${composeHash}${after}.`,
  };
}

function findReceiptProblem(
  receipt: JudgedReceipt | undefined,
  claim: RegistrationClaim,
): readonly [TransactionProblem, string] | undefined {
  const { appId, chainId, composeHash } = claim;
  if (!receipt) return ["not-found", `was not found on chain ${chainId}`];
  if (receipt.status === "reverted") return ["reverted", "was reverted"];
  const additions = receipt.logs.flatMap((log) => {
    const added = readAddition(log);
    return added === undefined ? [] : [{ emitter: log.address, added }];
  });
  const fromApp = additions.filter(({ emitter }) => isAddressEqual(emitter, appId));
  if (fromApp.some(({ added }) => added === composeHash)) return undefined;
  if (fromApp.length > 0)
    return ["other-hash", `added another compose hash: ${fromApp.map(({ added }) => added).join(", ")}`];
  const elsewhere = additions.find(({ added }) => added === composeHash);
  if (elsewhere) {
    const { emitter } = elsewhere;
    return ["other-contract", `added the compose hash to contract ${emitter}, not to the app's, ${appId}`];
  }
  return ["no-event", `holds no ComposeHashAdded event of app contract ${appId}`];
}

/** The hash that a log says was added. Logs with an indexed argument or data that is not 32 bytes are ignored. */
function readAddition({ topics, data }: JudgedLog): Hex | undefined {
  const isExact = topics.length === 1 && topics[0]?.toLowerCase() === composeHashAdded && data.length === 66;
  return isExact ? (data.toLowerCase() as Hex) : undefined; // lower-casing keeps it hex
}
