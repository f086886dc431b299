/** Characters that can control a terminal, or hide and reverse text. */
export const controlCharacters = /[\p{Cc}\p{Cf}]/gu;
const controlSequences = /[\p{Cc}\p{Cf}]+/gu;

/**
 * Makes text from a server or a contract safe to print: replaces control characters by spaces and cuts long text.
 *
 * @param limit in characters
 */
export function cleanText(text: string, limit = 500): string {
  const printable = text.replace(controlSequences, " ").trim();
  return printable.length > limit ? `${printable.slice(0, limit)}…` : printable;
}

/**
 * Makes text safe for a terminal. A compose file, a node's error or a command line may contain sequences that clear the
 * screen, hide a line or reverse it. Replaces each control character with U+FFFD. Keeps line feeds.
 */
export function printable(text: string): string {
  return text.replace(controlCharacters, (character) => (character === "\n" ? character : "\ufffd"));
}
