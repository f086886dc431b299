const longestMessage = 1000;

/**
 * A copy of a client library's error that is safe to log: RPC URLs carry API keys in their path, query or user part,
 * viem keeps the whole URL on its errors, and some providers repeat the key in their answer.
 */
export function withoutSecrets(error: unknown): Error {
  const { name, message } = error instanceof Error ? error : { name: "Error", message: String(error) };
  const copy = new Error(redact(nodesWordsFirst(error, message)).slice(0, longestMessage));
  copy.name = name;
  return copy;
}

/** viem puts them behind the whole request, which alone may be longer than a message. */
function nodesWordsFirst(error: unknown, message: string): string {
  const { details } = Object(error) as { readonly details?: unknown };
  return message.length > longestMessage && typeof details === "string" ? `${details}\n${message}` : message;
}

/** Cuts every URL to its origin and hides whatever looks like a key; `0x` values stay. */
function redact(text: string): string {
  return text
    .replace(/\b(?:https?|wss?):\/\/[^\s"'<>]+/gi, (url) => (URL.canParse(url) ? new URL(url).origin : "[url]"))
    .replace(/(?<![\w-])(?!0x)(?=[\w-]*\d)[\w-]{20,}/g, "[hidden]");
}
