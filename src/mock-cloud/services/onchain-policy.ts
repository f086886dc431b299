import type { PublicClient } from "viem";
import { type alreadyRegistered, errorCodes, statusCodes } from "../../cloud/protocol.ts";
import type { ComposeHash, DeviceId, TransactionHash } from "../../core/ids.ts";
import type { Clock } from "../clock.ts";
import { ApiError, chainUnavailable, notOnChain } from "../errors.ts";
import type { Finality } from "../options.ts";
import type { Cvm } from "../store/cvms.ts";
import type { AwaitedTag } from "../store/operations.ts";
import type { Kms, Platform } from "../store/platform.ts";
import { type OnchainStatus, readOnchainStatus } from "../verification/read-registration.ts";
import { verifyRegistration } from "../verification/verify-registration.ts";
import type { KmsRuntime } from "./kms.ts";

/** Phase 2: the hash that the client registered, and the transaction that proves it. */
export interface Confirmation {
  readonly composeHash: ComposeHash;
  readonly transactionHash: TransactionHash | typeof alreadyRegistered;
}

export interface RegistrationVerifierDependencies {
  readonly platform: Platform;
  readonly kmsRuntime: KmsRuntime;
  readonly clock: Clock;
  readonly receiptAttempts: number;
  readonly receiptRetryMs: number;
  /** Ends all waits when the server stops. */
  readonly signal: AbortSignal;
}

/** A CVM, or the known parts of a CVM that does not exist yet. */
type Subject = Pick<Cvm, "appId" | "kmsId"> & Partial<Pick<Cvm, "hashid">>;

/** Verifies a registration with what the backend itself reads from the app's chain. */
export class RegistrationVerifier {
  readonly #dependencies: RegistrationVerifierDependencies;

  constructor(dependencies: RegistrationVerifierDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws ApiError 467 or 468 when the registration is refused, 503 when the chain cannot be read */
  async verify(cvm: Subject, confirmation: Confirmation): Promise<void> {
    const chainId = this.#chainIdOf(cvm);
    if (chainId !== null) await this.#verifyOn(cvm, chainId, confirmation, "latest");
  }

  /**
   * Whether the block with this tag contains the registration. If no transaction is named, whether the state at that
   * block allows the hash.
   *
   * @throws the errors of `verify`: a reorganisation may have removed the registration
   */
  async isFinal(cvm: Subject, confirmation: Confirmation, tag: AwaitedTag): Promise<boolean> {
    const chainId = this.#chainIdOf(cvm);
    return chainId === null || (await this.#verifyOn(cvm, chainId, confirmation, tag));
  }

  /** Whether the registration has the wanted finality. */
  async #verifyOn(cvm: Subject, chainId: number, confirmation: Confirmation, finality: Finality): Promise<boolean> {
    const { composeHash, transactionHash } = confirmation;
    const claim = { chainId, appId: cvm.appId, composeHash, transactionHash };
    const client = this.#chainOf(cvm, chainId);
    const { clock, receiptAttempts: attempts, receiptRetryMs: retryMs, signal } = this.#dependencies;
    const verdict = await verifyRegistration(client, { ...claim, finality, attempts, retryMs, clock, signal }).catch(
      (error: unknown) => {
        throw chainUnavailable(chainId, error);
      },
    );
    if (verdict.kind === "verified") return true;
    if (verdict.kind === "waiting" && verdict.reason === "not-final") return false;
    if (verdict.kind === "wrong-chain") throw chainUnavailable(chainId, "its endpoint serves another chain");
    const [status, code] =
      verdict.kind === "hash-not-allowed"
        ? [statusCodes.hashNotAllowed, errorCodes.hashNotAllowed]
        : [statusCodes.transactionNotVerified, errorCodes.transactionNotVerified];
    throw new ApiError(status, code, verdict.message, {
      details: Object.entries(claim).map(([key, value]) => ({ field: snakeCase(key), value })),
    });
  }

  #chainIdOf({ kmsId }: Subject): number | null {
    return this.#dependencies.platform.findKms(kmsId)?.chainId ?? null;
  }

  /** @throws ApiError 503 */
  #chainOf({ kmsId, hashid }: Subject, chainId: number): PublicClient {
    const client = this.#dependencies.kmsRuntime.chain(kmsId, hashid);
    if (!client) throw chainUnavailable(chainId, "no endpoint is configured");
    return client;
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * Reads whether the app's contract allows a document and a device.
 *
 * @throws ApiError 400 for an off-chain KMS, 503 when the chain cannot be read
 */
export async function readAppPolicy(
  kmsRuntime: KmsRuntime,
  kms: Kms,
  { appId, hashid }: Pick<Cvm, "appId" | "hashid">,
  subject: { readonly composeHash: ComposeHash; readonly deviceId: DeviceId },
): Promise<OnchainStatus> {
  if (kms.chainId === null) throw notOnChain(appId);
  const client = kmsRuntime.chain(kms.id, hashid);
  if (!client) throw chainUnavailable(kms.chainId, "no endpoint is configured");
  try {
    return await readOnchainStatus(client, { appId, ...subject });
  } catch (error) {
    throw chainUnavailable(kms.chainId, error);
  }
}

/** Reads what the contract of a CVM's app allows. Undefined on an off-chain KMS, and if the chain gives no answer. */
export async function tryOnchainStatus(
  kmsRuntime: KmsRuntime,
  kms: Kms,
  { appId, hashid }: Pick<Cvm, "appId" | "hashid">,
  subject: { readonly composeHash: ComposeHash; readonly deviceId: DeviceId },
): Promise<OnchainStatus | undefined> {
  const client = kmsRuntime.chain(kms.id, hashid);
  return client && readOnchainStatus(client, { appId, ...subject }).catch(() => undefined);
}
