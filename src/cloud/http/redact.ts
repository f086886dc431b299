import { inspect } from "node:util";

/** Takes a secret out of text that somebody else wrote. */
export function redact(text: string, secret: string): string {
  return text.replaceAll(secret, "[api key]");
}

/** The error as a cause, or nothing where its text would carry the secret along. */
export function causeWithout(secret: string, error: unknown): { cause?: unknown } {
  const shown = inspect(error, { depth: 10, showHidden: true });
  return shown.includes(secret) ? {} : { cause: error };
}
