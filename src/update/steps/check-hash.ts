import { explainHashMismatch } from "../../core/hash-mismatch.ts";
import type { ComposeHash } from "../../core/ids.ts";
import { HashMismatchError } from "../../errors/index.ts";
import { during, type UpdateRun } from "../update-run.ts";
import type { RequestedDocument } from "./build-document.ts";

/**
 * The last stop before money is spent: what the owner is about to allow must be what was asked for.
 *
 * @throws HashMismatchError
 */
export function checkHash(run: UpdateRun, document: RequestedDocument, fromCloud: ComposeHash): Promise<void> {
  return during(
    run,
    "checkHash",
    async () => {
      const mismatch = hashMismatch(run, document, fromCloud);
      if (mismatch !== undefined) throw mismatch;
    },
    () => ({ composeHash: fromCloud, isMismatchAccepted: fromCloud !== document.composeHash }),
  );
}

/** The error of a hash that is neither ours nor explicitly accepted. */
export function hashMismatch(
  { request }: UpdateRun,
  document: RequestedDocument,
  fromCloud: ComposeHash,
): HashMismatchError | undefined {
  if (fromCloud === document.composeHash || fromCloud === request.acceptHashMismatch) return undefined;
  const explanation = explainHashMismatch({ ...document, fromCloud });
  return new HashMismatchError({ expected: document.composeHash, fromCloud, explanation });
}
