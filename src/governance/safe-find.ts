import { type Hex, isAddressEqual } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { hashSafeTx, type SafeTx } from "../core/safe.ts";
import { objectionsToSafeTx } from "../core/safe-objections.ts";
import { encodeSafeSignatures } from "../core/safe-signing.ts";
import {
  InvalidArgumentError,
  InvalidProposalFileError,
  SafeNonceError,
  UnplannedSafeTransactionError,
} from "../errors/index.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import type { SafeAccount } from "./safe-account.ts";
import { type CheckedConfirmations, checkConfirmations } from "./safe-confirmations.ts";
import { mergeProposals, type SafeProposal } from "./safe-proposal.ts";
import type { QueuedSafeTransaction } from "./safe-queue.ts";

export interface FindProposedParameters {
  readonly plan: Pick<ChangePlan, "digest" | "changes">;
  readonly account: SafeAccount;
  /** Copies of the proposal, each with its file. */
  readonly copies: readonly { readonly path: string; readonly proposal: SafeProposal }[];
  /** What the service has. Undefined without a service. */
  readonly queued: readonly QueuedSafeTransaction[] | undefined;
  /** The nonce that the user named. */
  readonly nonce?: bigint | undefined;
}

/** The Safe transaction that makes the plan's calls. */
export interface ProposedTransaction extends CheckedConfirmations {
  readonly safeTx: SafeTx;
  readonly safeTxHash: Hex;
  /** Whether the service has it. */
  readonly isInService: boolean;
  /** Other transactions of the service that would be executed first. */
  readonly before: readonly QueuedSafeTransaction[];
  /** Other transactions of the service with the same nonce. Only one of them can be executed. */
  readonly rivals: readonly QueuedSafeTransaction[];
}

/**
 * Finds the Safe transaction of a plan in files and in the service, and joins their confirmations. The transaction must
 * make exactly the plan's calls, whatever the file or the service says about it.
 *
 * @throws UnplannedSafeTransactionError, InvalidProposalFileError
 * @throws InvalidArgumentError if there is none, or several
 * @throws SafeNonceError if it has another nonce than the named one
 * @throws RpcUnavailableError
 */
export async function findProposed(
  client: ChainClient,
  { plan, account, copies, queued, nonce }: FindProposedParameters,
): Promise<ProposedTransaction> {
  const calls = plan.changes.map(({ call }) => call);
  for (const { path, proposal } of copies) requireProposalOf(path, proposal, { plan, account });
  const proposal = mergeProposals(copies);
  const isPlanned = ({ safeTx }: QueuedSafeTransaction) =>
    objectionsToSafeTx(safeTx, { safe: account.safe, calls }).length === 0;
  const candidates = (queued ?? [])
    .filter(isPlanned)
    .filter(({ safeTx }) => nonce === undefined || safeTx.nonce === nonce);
  const found = proposal ?? onlyOf(candidates, { isAsked: queued !== undefined });
  const { safeTx, safeTxHash } = found;
  const objections = objectionsToSafeTx(safeTx, { safe: account.safe, calls });
  if (objections.length > 0) throw new UnplannedSafeTransactionError(safeTxHash, objections);
  if (nonce !== undefined && nonce !== safeTx.nonce) {
    throw new SafeNonceError({
      ...{ safe: account.safe, nonce: safeTx.nonce, next: account.nonce },
      problem: `is the proposal's, but the command names nonce ${nonce}`,
      nextStep: "Give the proposal with that nonce, or propose the plan with it.",
    });
  }
  const inService = queued?.find((one) => one.safeTxHash === safeTxHash);
  const stated = [
    ...(proposal?.confirmations ?? []),
    ...(inService?.confirmations ?? []).map((entry) => ({
      owner: entry.signer,
      signature: encodeSafeSignatures([entry]),
    })),
  ];
  const { confirmations, rejected } = await checkConfirmations(client, account, { safeTx, stated });
  return {
    ...{ safeTx, safeTxHash, confirmations },
    rejected: [...rejected, ...(inService?.rejected ?? [])],
    isInService: inService !== undefined,
    before: (queued ?? []).filter((one) => one.safeTx.nonce < safeTx.nonce),
    rivals: (queued ?? []).filter((one) => one.safeTx.nonce === safeTx.nonce && one.safeTxHash !== safeTxHash),
  };
}

/** @throws InvalidProposalFileError */
export function requireProposalOf(
  path: string,
  proposal: SafeProposal,
  { plan, account }: Pick<FindProposedParameters, "account"> & { readonly plan: Pick<ChangePlan, "digest"> },
): void {
  const { chainId, safe, version } = account;
  const refuse = (problem: string) => new InvalidProposalFileError(path, problem);
  if (proposal.chainId !== chainId) throw refuse(`it is for chain ${proposal.chainId}, and the plan for ${chainId}`);
  if (!isAddressEqual(proposal.safe, safe))
    throw refuse(`it is for the Safe ${proposal.safe}, and the plan for ${safe}`);
  if (proposal.plan !== plan.digest) throw refuse("it was made from another plan");
  if (hashSafeTx(proposal.safeTx, account) !== proposal.safeTxHash)
    throw refuse(`it was made for version ${proposal.version} of the Safe, which now has version ${version}`);
}

function onlyOf(
  candidates: readonly QueuedSafeTransaction[],
  { isAsked }: { readonly isAsked: boolean },
): QueuedSafeTransaction {
  const [only, ...more] = candidates;
  if (only !== undefined && more.length === 0) return only;
  if (only === undefined) {
    throw new InvalidArgumentError(
      `No Safe transaction with the plan's calls was found${isAsked ? " in the service" : ""}.`,
      { nextStep: "Nothing was signed or sent. Propose the plan first, or give the file of the proposal." },
    );
  }
  const nonces = candidates.map(({ safeTx }) => safeTx.nonce).join(", ");
  throw new InvalidArgumentError(`The service has the plan's calls several times, with the nonces ${nonces}.`, {
    nextStep: "Nothing was signed or sent. Name one of these nonces, and reject the others: each would be executed.",
    context: { nonces },
  });
}
