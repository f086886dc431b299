import { errorCodes, statusCodes } from "../../cloud/protocol.ts";
import type { ComposeHash, DeviceId } from "../../core/ids.ts";
import type { Clock } from "../clock.ts";
import { ApiError, chainUnavailable, notOnChain } from "../errors.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Kms, Platform } from "../store/platform.ts";
import { gatherFacts, type OnchainStatus, readOnchainStatus } from "../verification/gather-facts.ts";
import { judgeReceipt, type RegistrationFacts } from "../verification/judge-receipt.ts";
import type { Confirmation } from "./confirmation.ts";
import type { KmsRuntime } from "./kms.ts";

export interface RegistrationVerifierDependencies {
  readonly platform: Platform;
  readonly kmsRuntime: KmsRuntime;
  readonly clock: Clock;
  readonly receiptAttempts: number;
  readonly receiptRetryMs: number;
  /** Ends waiting when the server stops. */
  readonly signal: AbortSignal;
}

/** The CVM, or what is known of it before it exists. */
type Subject = Pick<Cvm, "appId" | "kmsId"> & Partial<Pick<Cvm, "hashid">>;

/** Proves a registration by what the backend itself reads from the app's chain. */
export class RegistrationVerifier {
  readonly #dependencies: RegistrationVerifierDependencies;

  constructor(dependencies: RegistrationVerifierDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws ApiError 467 or 468, or 503 when the chain cannot be read: an outage is never taken for a refusal */
  async verify(cvm: Subject, { composeHash, transactionHash }: Confirmation): Promise<void> {
    const chainId = this.#dependencies.platform.findKms(cvm.kmsId)?.chainId ?? null;
    if (chainId === null) return;
    const claim = { chainId, appId: cvm.appId, composeHash, transactionHash };
    const verdict = judgeReceipt(await this.#gather(cvm, chainId, claim), claim);
    if (verdict.kind === "verified") return;
    if (verdict.kind === "wrong-chain") throw chainUnavailable(chainId, "its endpoint serves another chain");
    const [status, code] =
      verdict.kind === "hash-not-allowed"
        ? [statusCodes.hashNotAllowed, errorCodes.hashNotAllowed]
        : [statusCodes.transactionNotVerified, errorCodes.transactionNotVerified];
    throw new ApiError(status, code, verdict.message, {
      details: Object.entries(claim).map(([key, value]) => ({ field: snakeCase(key), value })),
    });
  }

  async #gather(cvm: Subject, chainId: number, claim: Parameters<typeof gatherFacts>[1]): Promise<RegistrationFacts> {
    const { kmsRuntime, clock, receiptAttempts, receiptRetryMs, signal } = this.#dependencies;
    const client = kmsRuntime.chain(cvm.kmsId, cvm.hashid);
    if (!client) throw chainUnavailable(chainId, "no endpoint is configured");
    try {
      return await gatherFacts(client, claim, { clock, attempts: receiptAttempts, retryMs: receiptRetryMs, signal });
    } catch (error) {
      throw chainUnavailable(chainId, error);
    }
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * What the contract of a CVM's app says of a document and a device.
 *
 * @throws ApiError 400 where no contract decides, 503 when the chain cannot be read
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

/** What the contract of a CVM's app allows right now; undefined off chain, and when the chain gives no answer. */
export async function tryOnchainStatus(
  kmsRuntime: KmsRuntime,
  kms: Kms,
  { appId, hashid }: Pick<Cvm, "appId" | "hashid">,
  subject: { readonly composeHash: ComposeHash; readonly deviceId: DeviceId },
): Promise<OnchainStatus | undefined> {
  const client = kmsRuntime.chain(kms.id, hashid);
  return client && readOnchainStatus(client, { appId, ...subject }).catch(() => undefined);
}
