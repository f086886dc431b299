import { cleanText } from "../core/clean-text.ts";
import { errorChain, errorText } from "./error-chain.ts";
import { withoutSecrets } from "./without-secrets.ts";

const longest = 200;

/**
 * What an endpoint itself said when it refused a request, safe to print; undefined if it said nothing. Errors of
 * JSON-RPC have a number as their code, and the innermost one is the endpoint's own.
 */
export function endpointsWords(error: unknown): string | undefined {
  const refusal = errorChain(error).findLast(({ code }) => typeof code === "number");
  if (refusal === undefined) return undefined;
  return cleanText(withoutSecrets(new Error(errorText(refusal))).message).slice(0, longest) || undefined;
}
