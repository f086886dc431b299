import { canMention } from "../core/prune/find-mentions.ts";
import { InvalidArgumentError, UnusableFileError } from "../errors/index.ts";
import { readBoundedText } from "../files/read-bounded.ts";

/** Something that waits for signatures or for its time, as text with its hex digits as they are. */
export interface QueuedDocument {
  /** The file, or the first digits of the value. */
  readonly source: string;
  readonly text: string;
}

/**
 * What `--queued` names: calldata or a compose hash as hex, else a file: a Transaction Builder file, a timelock's
 * operation, anything that holds calldata as hex.
 *
 * @throws InvalidArgumentError if it cannot name any hash
 */
export async function readQueued(raw: string): Promise<QueuedDocument> {
  if (/^0x[0-9a-f]+$/i.test(raw))
    return requireMention({ source: raw.length > 20 ? `${raw.slice(0, 18)}…` : raw, text: raw });
  const text = await readBoundedText(raw).catch((cause: unknown) => {
    const why = cause instanceof UnusableFileError ? `: ${cause.context.problem}` : "";
    throw new InvalidArgumentError(`The queued call ${raw} cannot be read${why}.`, {
      nextStep: "Name a file, or give calldata or a compose hash as 0x….",
      cause,
    });
  });
  return requireMention({ source: raw, text });
}

function requireMention(document: QueuedDocument): QueuedDocument {
  if (canMention(document.text)) return document;
  throw new InvalidArgumentError(`There is no hash of 32 bytes in ${document.source}.`, {
    nextStep: "Give the call itself: a Transaction Builder file, its calldata, or the compose hash it is about.",
  });
}
