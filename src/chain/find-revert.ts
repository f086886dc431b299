import { type Abi, decodeErrorResult, type Hex, isHex } from "viem";
import { type ErrorLink, errorChain, errorText } from "./error-chain.ts";

/** What a node said about a call the EVM refused. */
export interface Revert {
  /** Return data of the refusal, if the node passed it on. */
  readonly data: Hex | undefined;
  /** Decoded custom error name or revert text, or else the node's own words. */
  readonly reason: string | undefined;
  /** Name of the custom error, such as `OwnableUnauthorizedAccount`. */
  readonly errorName: string | undefined;
}

const revertCode = 3;
const refusals = /revert|out of gas|invalid opcode|stack (?:over|under)flow/i;
const longestReason = 200;

/**
 * The refusal behind an error of a client library, or undefined if the node did not get as far as a refusal: an
 * outage must never look like a contract's answer. Nodes disagree on the code (3, -32000, -32603, -32015) and on
 * where the data sits, so the whole chain of causes is searched.
 */
export function findRevert(error: unknown, abi: Abi): Revert | undefined {
  const chain = errorChain(error);
  const data = chain.map(revertData).find((found) => found !== undefined && found !== "0x");
  const refused =
    chain.some((link) => link.code === revertCode) || chain.some((link) => refusals.test(errorText(link)));
  if (!refused && data === undefined) return undefined;
  return { data, ...explain(data, abi, chain) };
}

function explain(data: Hex | undefined, abi: Abi, chain: readonly ErrorLink[]): Omit<Revert, "data"> {
  if (data !== undefined) {
    try {
      const { errorName, args = [] } = decodeErrorResult({ abi, data });
      const isText = errorName === "Error";
      return {
        errorName: isText ? undefined : errorName,
        reason: printable(isText ? String(args[0]) : `${errorName}(${args.join(", ")})`),
      };
    } catch {
      return { errorName: undefined, reason: `unknown error ${data.slice(0, 10)}` };
    }
  }
  const words = chain.map(errorText).findLast((text) => refusals.test(text));
  return { errorName: undefined, reason: words === undefined ? undefined : printable(words) };
}

function revertData({ data }: ErrorLink): Hex | undefined {
  const raw = typeof data === "object" && data !== null && "data" in data ? data.data : data;
  return isHex(raw) ? raw : undefined;
}

/** A hostile contract chooses its revert text: no control characters, no walls of text in a terminal. */
function printable(text: string): string {
  return text.replace(/\p{C}+/gu, " ").slice(0, longestReason);
}
