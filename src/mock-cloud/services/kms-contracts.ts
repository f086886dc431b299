import { createHash } from "node:crypto";
import { kmsNotFound } from "../errors.ts";
import type { Kms, Platform } from "../store/platform.ts";

/** The KMS that share a policy contract, and so a root key. Off chain every KMS stands alone. */
export interface KmsContract {
  readonly id: string;
  /** Never empty; the first one gives the contract its slug. */
  readonly nodes: readonly [Kms, ...Kms[]];
}

export function listKmsContracts(platform: Platform): KmsContract[] {
  const groups = new Map<string, [Kms, ...Kms[]]>();
  for (const kms of platform.listKms()) {
    const key = kms.contractAddress === null ? kms.id : `${kms.chainId} ${kms.contractAddress}`;
    const group = groups.get(key);
    if (group) group.push(kms);
    else groups.set(key, [kms]);
  }
  return [...groups].map(([key, nodes]) => ({
    id: `kc_${createHash("sha256").update(key).digest("hex").slice(0, 12)}`,
    nodes,
  }));
}

/**
 * The contract a request names by its id or address, by id or slug of one of its nodes, or by a type word.
 *
 * @throws ApiError 404
 */
export function findKmsContract(platform: Platform, reference: string): KmsContract {
  const wanted = reference.toLowerCase();
  const all = listKmsContracts(platform);
  const contract =
    all.find(({ id, nodes }) => id === wanted || nodes.some((kms) => namesOf(kms).includes(wanted))) ??
    all.find(({ nodes: [first] }) => first.type === wanted);
  if (!contract) throw kmsNotFound(reference);
  return contract;
}

function namesOf({ id, slug, contractAddress }: Kms): readonly (string | null)[] {
  return [id, slug, contractAddress];
}
