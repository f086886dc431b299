import { type DstackError, isDstackError, RpcUnavailableError } from "../errors/index.ts";
import { endpointsWords } from "./endpoints-words.ts";
import { withoutSecrets } from "./without-secrets.ts";

/**
 * Runs one request and gives its failure our own type. `doing` completes "… did not answer while …", or
 * "… gave no usable answer while …" with the endpoint's own words if it had any.
 * A refusal by the EVM is the caller's to recognise (findRevert) before it gets here.
 *
 * @throws RpcUnavailableError
 */
export async function duringRpc<result>(doing: string, request: () => Promise<result>): Promise<result> {
  try {
    return await request();
  } catch (error) {
    throw translateChainError(error, doing);
  }
}

/** An endpoint that is down, slow, rate limited or answers with a fault. Our own errors pass unchanged. */
export function translateChainError(error: unknown, doing: string): DstackError {
  return isDstackError(error)
    ? error
    : new RpcUnavailableError(doing, { cause: withoutSecrets(error), said: endpointsWords(error) });
}
