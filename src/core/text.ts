const limit = 500;

/** Text from the other side, safe to print: no control characters that could steer a terminal, and not endless. */
export function cleanText(text: string): string {
  const printable = text.replace(/[\p{Cc}\p{Cf}]+/gu, " ").trim();
  return printable.length > limit ? `${printable.slice(0, limit)}…` : printable;
}

/**
 * Text as a terminal may have it. Whatever stands in a compose file, in a node's error or on a command line may hold
 * sequences that clear the screen, hide a line or write one backwards; a mark shows where they were. Line feeds stay.
 */
export function printable(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Cf}]/gu, "\ufffd");
}
