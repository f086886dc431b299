import { type Hex, parseAppId } from "../../core/ids.ts";
import { isDstackError } from "../../errors/index.ts";
import { appNotFound, cvmAmbiguous, cvmNotFound, kmsNotFound } from "../errors.ts";
import type { Cvm, Cvms } from "../store/cvms.ts";
import type { Operation } from "../store/operations.ts";
import type { Kms, Node, OsImage, Platform } from "../store/platform.ts";
import type { Store } from "../store/store.ts";
import type { Workspace } from "../store/workspaces.ts";
import { type KmsRuntime, listKmsContracts } from "./kms.ts";

/**
 * Finds the CVM of the workspace that a URL names.
 *
 * @throws ApiError 404 when no CVM matches, 400 when several match
 */
export function findCvm(cvms: Cvms, workspaceId: string, raw: string): Cvm {
  const identifier = parseCvmIdentifier(raw);
  const matches = findMatches(cvms, workspaceId, identifier);
  const [cvm] = matches;
  if (!cvm) throw cvmNotFound(raw);
  if (matches.length > 1) {
    throw cvmAmbiguous(
      raw,
      identifier.kind === "name",
      matches.map(({ hashid }) => hashid),
    );
  }
  return cvm;
}

/** Whether `raw` is one of the CVM's names. Other CVMs may have the same name. */
export function isNamed(cvms: Cvms, cvm: Cvm, raw: string): boolean {
  return findMatches(cvms, cvm.workspaceId, parseCvmIdentifier(raw)).some(({ id }) => id === cvm.id);
}

function findMatches(cvms: Cvms, workspaceId: string, identifier: CvmIdentifier): Cvm[] {
  switch (identifier.kind) {
    case "id":
      return cvms.withId(workspaceId, identifier.id);
    case "hashid":
      return cvms.withHashid(workspaceId, identifier.hashid);
    case "uuid":
      return cvms.withUuid(workspaceId, identifier.uuid);
    case "instance":
      return cvms.withInstanceId(workspaceId, identifier.instanceId);
    case "name":
      return cvms.withName(workspaceId, identifier.name);
    case "app": {
      const ofApp = cvms.withAppId(workspaceId, identifier.appId);
      // Official clients write `app_` before any 40 hex digits, even before an instance id.
      return ofApp.length > 0 ? ofApp : cvms.withInstanceId(workspaceId, identifier.appId);
    }
  }
}

/**
 * Finds the CVMs of the app that a URL names, oldest first. An app exists as long as it has a CVM.
 *
 * @throws ApiError 404
 */
export function findAppCvms(cvms: Cvms, workspaceId: string, raw: string): readonly [Cvm, ...Cvm[]] {
  const [first, ...rest] = cvms.withAppId(workspaceId, readAppId(raw));
  if (!first) throw appNotFound(raw);
  return [first, ...rest];
}

function readAppId(raw: string) {
  try {
    return parseAppId(raw);
  } catch (error) {
    if (isDstackError(error)) throw appNotFound(raw);
    throw error;
  }
}

/**
 * Finds the KMS that a request names by id, slug or contract address. A contract id (`kc_…`) or a type (`base`,
 * `ethereum`, `phala`) names the first KMS of that contract or type. From API version 2026-06-23 on, lists show only
 * `kc_…` ids.
 *
 * @throws ApiError 404
 */
export function findKms(platform: Platform, reference: string): Kms {
  const all = platform.listKms();
  const wanted = reference.toLowerCase();
  const kms =
    all.find(({ id, slug, contractAddress }) => [id, slug, contractAddress].includes(wanted)) ??
    listKmsContracts(platform).find(({ id }) => id === wanted)?.nodes[0] ??
    all.find(({ type }) => type === wanted);
  if (!kms) throw kmsNotFound(reference);
  return kms;
}

/** The ways a URL can name a CVM. */
export type CvmIdentifier =
  | { readonly kind: "id"; readonly id: number }
  | { readonly kind: "hashid"; readonly hashid: string }
  /** Canonical: lower case with dashes. */
  | { readonly kind: "uuid"; readonly uuid: string }
  | { readonly kind: "app"; readonly appId: Hex }
  | { readonly kind: "instance"; readonly instanceId: Hex }
  | { readonly kind: "name"; readonly name: string };

const uuidPattern = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;

/** Text that has none of the other forms is a name. */
export function parseCvmIdentifier(raw: string): CvmIdentifier {
  if (raw.startsWith("cvm_")) return { kind: "hashid", hashid: raw };
  const uuid = uuidPattern.exec(raw);
  if (uuid) return { kind: "uuid", uuid: uuid.slice(1).join("-").toLowerCase() };
  const [, prefix, digits] = /^(app_|instance_|0x)?([0-9a-f]{40})$/i.exec(raw) ?? [];
  if (digits !== undefined) {
    const hex: Hex = `0x${digits.toLowerCase()}`;
    return prefix?.toLowerCase() === "instance_" ? { kind: "instance", instanceId: hex } : { kind: "app", appId: hex };
  }
  if (/^\d{1,15}$/.test(raw)) return { kind: "id", id: Number(raw) };
  return { kind: "name", name: raw };
}

/** A CVM with all the records that its answers show. */
export interface CvmView {
  readonly cvm: Cvm;
  readonly kms: Kms;
  readonly node: Node;
  readonly osImage: OsImage | undefined;
  readonly workspace: Workspace;
  readonly running: Operation | undefined;
  /** Null while the KMS is down. */
  readonly envPublicKey: Hex | null;
}

/** Collects the records that answers about a CVM show. */
export function viewCvm(store: Store, kmsRuntime: KmsRuntime, cvm: Cvm): CvmView {
  const { kms, node } = store.platform.placeOf(cvm);
  const workspace = store.workspaces.find(cvm.workspaceId);
  if (!workspace) throw new Error(`Workspace ${cvm.workspaceId} is gone.`);
  return {
    cvm,
    kms,
    node,
    workspace,
    osImage: store.platform.findOsImage(cvm.settings.osImage),
    running: store.operations.runningOf(cvm.id),
    envPublicKey: kmsRuntime.isUp(kms.id) ? kmsRuntime.appKey(kms.id, cvm.appId).publicKey : null,
  };
}
