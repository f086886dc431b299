const limit = 500;

/** Text from the other side, safe to print: no control characters that could steer a terminal, and not endless. */
export function cleanText(text: string): string {
  const printable = text.replace(/[\p{Cc}\p{Cf}]+/gu, " ").trim();
  return printable.length > limit ? `${printable.slice(0, limit)}…` : printable;
}
