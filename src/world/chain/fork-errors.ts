import { withoutSecrets } from "../../chain/rpc-errors.ts";

/** Shorter parts of a URL, such as `v2`, are no keys and stand in many a message. */
const shortestKey = 6;

/**
 * Cleans the errors of a fork. EDR repeats the upstream endpoint's URL in them and what that endpoint says, and callers
 * of the chain have no business with the key that either may hold.
 */
export function createForkErrorCleaner(forkUrl: string): (error: unknown) => Error {
  const secrets = secretsOf(new URL(forkUrl));
  const clean = (text: string) => {
    const withoutUrls = text.replace(/\b(?:https?|wss?):\/\/[^\s"'<>]+/gi, "[url]");
    const hidden = secrets.reduce((rest, secret) => rest.replaceAll(secret, "[hidden]"), withoutUrls);
    return withoutSecrets(new Error(hidden)).message;
  };
  return (error) => {
    const {
      code,
      data,
      message = String(error),
    } = Object(error) as { code?: unknown; data?: unknown; message?: string };
    const copy = new Error(clean(message));
    return Object.assign(copy, {
      ...(code !== undefined && { code }),
      ...(data !== undefined && { data: deeply(data) }),
    });
  };

  /** Return data stays as it is: it comes from the chain, and callers decode it. */
  function deeply(data: unknown): unknown {
    if (typeof data === "string") return /^0x[0-9a-f]*$/i.test(data) ? data : clean(data);
    if (Array.isArray(data)) return data.map(deeply);
    if (typeof data !== "object" || data === null) return data;
    return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, deeply(value)]));
  }
}

/** Longest first, so that no part of one is left behind. */
function secretsOf(url: URL): string[] {
  const { host, hostname, pathname, username, password, search, searchParams } = url;
  const parts = [host, hostname, username, password, search.slice(1), ...searchParams.values(), ...pathname.split("/")];
  const spellings = parts.flatMap((part) => [part, safelyDecoded(part)]);
  return [...new Set(spellings)]
    .filter((part) => part.length >= shortestKey)
    .sort((first, second) => second.length - first.length);
}

function safelyDecoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
