import { kmsNotFound } from "../errors.ts";
import type { Kms, Platform } from "../store/platform.ts";
import { listKmsContracts } from "./kms-contracts.ts";

/**
 * The KMS a request names by id, slug or contract address, or the first one of a contract (`kc_…`, the only id that lists
 * show from 2026-06-23 on) or of a type (`base`, `ethereum`, `phala`).
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
