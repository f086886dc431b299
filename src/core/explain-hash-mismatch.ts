import { diagnoseHashMismatch, type HashMismatch } from "./diagnose-hash-mismatch.ts";

/** `diagnoseHashMismatch` as one clause, to follow "the hash differs: ". */
export function explainHashMismatch(mismatch: HashMismatch): string {
  return diagnoseHashMismatch(mismatch).explanation;
}
