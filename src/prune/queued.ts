import { type ComposeHash, withoutPrefix } from "../core/ids.ts";
import { InvalidArgumentError, UnusableFileError } from "../errors/index.ts";
import { readBoundedText } from "../files/read-bounded.ts";

/** A call that waits for signatures or for its time, as text that contains its hex digits. */
export interface QueuedDocument {
  /** The file, or the first digits of the value. */
  readonly source: string;
  readonly text: string;
}

/**
 * Reads a queued call: calldata or a compose hash as hex, or a file that holds calldata as hex, such as a
 * Transaction Builder file or a timelock's operation.
 *
 * @throws InvalidArgumentError if it cannot name any hash
 */
export async function readQueued(raw: string): Promise<QueuedDocument> {
  if (/^0x[0-9a-f]+$/i.test(raw))
    return requireMention({ source: raw.length > 20 ? `${raw.slice(0, 18)}…` : raw, text: raw });
  const text = await readBoundedText(raw).catch((cause: unknown) => {
    const why = cause instanceof UnusableFileError ? `: ${cause.context.problem}` : "";
    throw new InvalidArgumentError(`The queued call ${raw} cannot be read${why}.`, {
      nextStep: "Give a file, or calldata or a compose hash as 0x….",
      cause,
    });
  });
  return requireMention({ source: raw, text });
}

function requireMention(document: QueuedDocument): QueuedDocument {
  if (canMention(document.text)) return document;
  throw new InvalidArgumentError(`${document.source} contains no 32-byte hash.`, {
    nextStep: "Give the call: a Transaction Builder file, calldata, or the compose hash that the call adds or removes.",
  });
}

/**
 * The hashes whose digits occur anywhere in a text: a Transaction Builder file, calldata, a timelock's operation. Calls
 * can be nested in many ways (MultiSend inside a timelock inside a Safe), but the 64 digits of a hash always stay
 * together.
 */
export function findMentions(text: string, hashes: readonly ComposeHash[]): readonly ComposeHash[] {
  const digits = text.toLowerCase();
  return hashes.filter((hash) => digits.includes(withoutPrefix(hash)));
}

/** Whether a text can name a hash. If not, the user probably gave the wrong text. */
export function canMention(text: string): boolean {
  return /[0-9a-f]{64}/i.test(text);
}
