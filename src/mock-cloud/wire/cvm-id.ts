import { type ApiVersion, isAtLeast } from "../../cloud/protocol.ts";
import type { Cvm } from "../store/cvms.ts";

/** How actions and lists name a CVM: by number at first, by hashid from 2026-05-22 on. */
export function toCvmId({ id, hashid }: Pick<Cvm, "id" | "hashid">, version: ApiVersion): number | string {
  return isAtLeast(version, "2026-05-22") ? hashid : id;
}
