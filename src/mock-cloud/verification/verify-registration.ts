import type { Address, PublicClient } from "viem";
import { alreadyRegistered } from "../../cloud/protocol.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Finality } from "../options.ts";
import { judgeReceipt, type RegistrationClaim, type RegistrationVerdict } from "./judge-receipt.ts";
import { isHashAllowed, readRegistration } from "./read-registration.ts";

export interface VerifyRegistrationParameters extends RegistrationClaim {
  /** DstackKms that must have registered the app. @default any: only the app's own contract is asked */
  readonly kms?: Address | undefined;
  /** The block that must hold the registration. @default "latest" */
  readonly finality?: Finality | undefined;
  /** How often a missing receipt or hash, or a failed reading, is read in all. @default 1 */
  readonly attempts?: number | undefined;
  /** Pause between two attempts, in ms. @default 1000 */
  readonly retryMs?: number | undefined;
  /** @default the system's */
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Decides, as the cloud does before it starts an update, whether an app's contract has registered a compose hash.
 * Trusts the endpoint for what it reads: the chain's id, the receipt and its block, and what the app allows now. The
 * claim may lie about everything else. For `already-registered` only the contract's state counts.
 *
 * A verdict is about this moment. Ask again for `waiting`, and after a reorganisation.
 *
 * @param client of the backend's own endpoint, never of one that the client names
 * @throws viem's errors, and Error for an endpoint that contradicts itself: then nothing is known
 *
 * @example
 * import { verifyRegistration } from "dstack-toolkit/mock-cloud";
 * import { createPublicClient, http } from "viem";
 * import { appId, composeHash, transactionHash } from "./app.js";
 * const client = createPublicClient({ transport: http("https://rpc.example") });
 * const verdict = await verifyRegistration(client, { chainId: 8453, appId, composeHash, transactionHash });
 */
export async function verifyRegistration(
  client: PublicClient,
  parameters: VerifyRegistrationParameters,
): Promise<RegistrationVerdict> {
  const { clock = systemClock, attempts = 1, retryMs = 1_000, finality = "latest", ...claim } = parameters;
  const { signal = new AbortController().signal } = parameters;
  const evidence = await readRegistration(client, claim, { clock, attempts, retryMs, signal });
  const verdict = judgeReceipt(evidence, claim);
  if (verdict.kind !== "verified" || finality === "latest") return verdict;
  const { number } = await client.getBlock({ blockTag: finality });
  if (number === null) throw new Error(`The endpoint's block ${finality} has no number.`);
  const { appId, composeHash, transactionHash } = claim;
  const isFinal = evidence.receipt
    ? evidence.receipt.blockNumber <= number
    : await isHashAllowed(client, appId, composeHash, number);
  if (isFinal) return verdict;
  const subject = transactionHash === alreadyRegistered ? "state that allows the hash" : `block of ${transactionHash}`;
  return { kind: "waiting", reason: "not-final", message: `The ${subject} is not ${finality} yet.` };
}
