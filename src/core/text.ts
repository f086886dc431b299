const limit = 500;

/**
 * Makes text from a server safe to print. Replaces control characters, which could control the terminal, with spaces,
 * and cuts the text after 500 characters.
 */
export function cleanText(text: string): string {
  const printable = text.replace(/[\p{Cc}\p{Cf}]+/gu, " ").trim();
  return printable.length > limit ? `${printable.slice(0, limit)}…` : printable;
}

/**
 * Makes text safe for a terminal. A compose file, a node's error or a command line may contain sequences that clear the
 * screen, hide a line or reverse it. Replaces each control character with U+FFFD. Keeps line feeds.
 */
export function printable(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Cf}]/gu, "\ufffd");
}
