import { cleanText } from "../core/text.ts";
import { errorChain, errorText } from "./error-chain.ts";
import { describeRedirect } from "./fetch-without-redirects.ts";
import { withoutSecrets } from "./without-secrets.ts";

const longest = 200;
const shortestKey = 6;

/**
 * What an endpoint itself said when it refused a request, or what is wrong with its answer, safe to print; undefined if
 * it said nothing. Errors of JSON-RPC have a number as their code, and the innermost one is the endpoint's own.
 */
export function endpointsWords(error: unknown): string | undefined {
  const chain = errorChain(error);
  const redirect = chain.map(describeRedirect).find((words) => words !== undefined);
  if (redirect !== undefined) return redirect;
  const refusal = chain.findLast(({ code }) => typeof code === "number") ?? chain.find(isOurs);
  if (refusal === undefined) return undefined;
  const words = chain.flatMap(keysOf).reduce((text, key) => text.replaceAll(key, "[hidden]"), errorText(refusal));
  const said = cleanText(withoutSecrets(new Error(words)).message).slice(0, longest);
  return said.replace(/\.+$/, "") || undefined;
}

/** What this package says of an answer nobody can use is a plain Error; libraries give theirs a name. */
function isOurs(link: object): boolean {
  return Reflect.get(link, "name") === "Error" && !("code" in link);
}

/** A key may stand anywhere in the URL that viem keeps on its errors, and an endpoint may repeat it. */
function keysOf(link: object): readonly string[] {
  const url: unknown = Reflect.get(link, "url");
  if (typeof url !== "string" || !URL.canParse(url)) return [];
  const { username, password, pathname, searchParams } = new URL(url);
  return [username, password, ...pathname.split("/"), ...searchParams.values()].filter(
    (part) => part.length >= shortestKey,
  );
}
