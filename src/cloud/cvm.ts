import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  type Hex,
  parseAppId,
  parseComposeHash,
  parseDeviceId,
  parseFixedHex,
  type TransactionHash,
  withoutPrefix,
} from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import {
  type ApiVersion,
  type alreadyRegistered,
  type CvmDetail20251028,
  type CvmDetail20260121,
  cvmDetail20251028Schema,
  cvmDetail20260121Schema,
  cvmStateSchema,
  headerNames,
  isAtLeast,
  type KmsInfo,
} from "./protocol.ts";

/** A confidential VM. The fields that are set depend on the requested API version. */
export interface Cvm {
  /** `cvm_…`, or a number as text at 2025-10-28. */
  readonly id: string;
  readonly name: string;
  /** Free text: `running`, `stopped`, `updating`, … */
  readonly status: string;
  /** Whether an operation on it is still running. */
  readonly busy: boolean;
  /** Correlation id of the running operation. From 2026-01-21 on. */
  readonly operationId: string | undefined;
  /** Set while an update waits until its registration has reached this stage. The CVM runs its present compose file. */
  readonly awaitedTag?: "safe" | "finalized" | undefined;
  /** Absent until a new CVM has its app. */
  readonly appId: AppId | undefined;
  readonly vmUuid: string | undefined;
  readonly instanceId: string | undefined;
  /** Hash of the current compose document. From 2026-01-21 on. */
  readonly composeHash: ComposeHash | undefined;
  /** The machine it runs on. From 2026-01-21 on. */
  readonly deviceId: DeviceId | undefined;
  /** Version of its guest OS, as the cloud tells it. From 2026-01-21 on. */
  readonly osVersion: string | undefined;
  /** Chain of the app's contract. Absent if the KMS keeps its policy off chain. */
  readonly chainId: number | undefined;
  readonly kmsContractAddress: Hex | undefined;
  /** Name of the KMS for `getAppEncryptionKey`. Only at 2025-10-28. */
  readonly kmsReference: string | undefined;
  /** The app's x25519 key as reported by the cloud, without a signature. Hex without `0x`. */
  readonly encryptionPublicKey: string | undefined;
}

/** @throws ZodError, InvalidHexError */
export function parseCvm(body: unknown, apiVersion: ApiVersion): Cvm {
  return isAtLeast(apiVersion, "2026-01-21")
    ? fromNested(cvmDetail20260121Schema.parse(body))
    : fromFlat(cvmDetail20251028Schema.parse(body));
}

function fromNested(wire: CvmDetail20260121): Cvm {
  const busy = (wire.in_progress ?? false) || Boolean(wire.progress?.target) || isTransitional(wire.status);
  return {
    id: wire.id,
    name: cleanText(wire.name),
    status: cleanText(wire.status),
    busy,
    operationId: wire.progress?.correlation_id ?? undefined,
    awaitedTag: wire.finality?.awaited_tag,
    appId: toAppId(wire.app_id),
    vmUuid: wire.vm_uuid ?? undefined,
    instanceId: wire.instance_id ?? undefined,
    composeHash: wire.compose_hash ? parseComposeHash(wire.compose_hash) : undefined,
    deviceId: wire.node_info?.device_id ? parseDeviceId(wire.node_info.device_id) : undefined,
    osVersion: cleanText(wire.os?.version ?? "", 40) || undefined,
    chainId: wire.kms_info?.chain_id ?? undefined,
    kmsContractAddress: toAddress("A KMS address", wire.kms_info?.dstack_kms_address),
    kmsReference: undefined,
    encryptionPublicKey: wire.kms_info?.encrypted_env_pubkey ?? undefined,
  };
}

function fromFlat(wire: CvmDetail20251028): Cvm {
  const kms = wire.kms_info ?? undefined;
  return {
    id: String(wire.id),
    name: cleanText(wire.name),
    status: cleanText(wire.status),
    busy: (wire.in_progress ?? false) || isTransitional(wire.status),
    operationId: undefined,
    awaitedTag: wire.finality?.awaited_tag,
    appId: toAppId(wire.app_id),
    vmUuid: wire.vm_uuid ?? undefined,
    instanceId: wire.instance_id ?? undefined,
    composeHash: undefined,
    deviceId: undefined,
    osVersion: undefined,
    chainId: kms?.chain_id ?? undefined,
    kmsContractAddress: toAddress("A KMS address", kms?.kms_contract_address),
    kmsReference: kms?.slug ?? kms?.id,
    encryptionPublicKey: wire.encrypted_env_pubkey ?? undefined,
  };
}

/** The list of statuses is open. Statuses of a CVM that is changing end in "ing" (`updating`, `restarting`). */
function isTransitional(status: string): boolean {
  return status === "pending" || (status !== "running" && status.endsWith("ing"));
}

export interface CvmRuntimeState {
  readonly status: string;
  readonly bootProgress: string | undefined;
  /** Why the last boot failed; the CVM then runs its previous compose. */
  readonly bootError: string | undefined;
}

/** @throws ZodError */
export function parseCvmState(body: unknown, clean: (text: string) => string): CvmRuntimeState {
  const { status, boot_progress, boot_error } = cvmStateSchema.parse(body);
  const bootError = cleanText(clean(boot_error ?? "")) || undefined;
  return { status: cleanText(status), bootProgress: boot_progress, bootError };
}

/** The key management service of a CVM. */
export interface Kms {
  readonly id: string;
  readonly slug: string | undefined;
  readonly url: string;
  readonly version: string;
  /** Absent if the KMS keeps its policy off chain. */
  readonly chainId: number | undefined;
  /** Address of its DstackKms contract. */
  readonly contractAddress: Hex | undefined;
  readonly gatewayAppId: string | undefined;
}

/** @throws InvalidHexError */
export function toKms(wire: KmsInfo): Kms {
  return {
    id: wire.id,
    slug: wire.slug ?? undefined,
    url: wire.url,
    version: wire.version,
    chainId: wire.chain_id ?? undefined,
    contractAddress: toAddress("A KMS address", wire.kms_contract_address),
    gatewayAppId: wire.gateway_app_id ?? undefined,
  };
}

/** @throws InvalidHexError */
export function toAddress(what: string, raw: string | null | undefined): Hex | undefined {
  return raw ? parseFixedHex(what, raw, 20) : undefined;
}

/** @throws InvalidHexError */
export function toAppId(raw: string | null | undefined): AppId | undefined {
  return raw ? parseAppId(raw) : undefined;
}

/** Phase 2 of an update: the hash, and the transaction that allowed it. */
export interface RegisteredHash {
  readonly composeHash: ComposeHash;
  /** `already-registered` asks the cloud to check only the contract's state, without a receipt. */
  readonly transactionHash: TransactionHash | typeof alreadyRegistered;
}

export function registrationHeaders({ composeHash, transactionHash }: RegisteredHash): Record<string, string> {
  return { [headerNames.composeHash]: withoutPrefix(composeHash), [headerNames.transactionHash]: transactionHash };
}

export function registrationFields({ composeHash, transactionHash }: RegisteredHash) {
  return { compose_hash: withoutPrefix(composeHash), transaction_hash: transactionHash };
}
