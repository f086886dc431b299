const longestMessage = 1000;

/**
 * A copy of a client library's error that is safe to log: RPC URLs carry API keys in their path, query or user part,
 * viem keeps the whole URL on its errors, and some providers repeat the key in their answer.
 */
export function withoutSecrets(error: unknown): Error {
  const { name, message } = error instanceof Error ? error : { name: "Error", message: String(error) };
  const copy = new Error(redact(message).slice(0, longestMessage));
  copy.name = name;
  return copy;
}

/** Cuts every URL to its origin and hides whatever looks like a key; `0x` values stay. */
function redact(text: string): string {
  return text
    .replace(/\b(?:https?|wss?):\/\/[^\s"'<>]+/gi, (url) => (URL.canParse(url) ? new URL(url).origin : "[url]"))
    .replace(/(?<![\w-])(?!0x)(?=[\w-]*\d)[\w-]{20,}/g, "[hidden]");
}
