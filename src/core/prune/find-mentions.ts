import { type ComposeHash, withoutPrefix } from "../ids.ts";

/**
 * The hashes whose digits occur anywhere in a text: a Transaction Builder file, calldata, a timelock's operation.
 * Calls are nested in ways nobody can list (MultiSend inside a timelock inside a Safe), but a hash keeps its 64 digits
 * in a row in all of them.
 */
export function findMentions(text: string, hashes: readonly ComposeHash[]): readonly ComposeHash[] {
  const digits = text.toLowerCase();
  return hashes.filter((hash) => digits.includes(withoutPrefix(hash)));
}

/** Whether a text can name a hash at all; one that cannot was taken for something it is not. */
export function canMention(text: string): boolean {
  return /[0-9a-f]{64}/i.test(text);
}
