import { alreadyRegistered, headerNames } from "../../cloud/protocol.ts";
import { type ComposeHash, parseComposeHash, parseTransactionHash } from "../../core/ids.ts";
import { InvalidRequestError } from "../errors.ts";
import type { Confirmation } from "../services/confirmation.ts";
import { parseAt } from "./parse-at.ts";

interface Source {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/**
 * The confirmation a request carries in its headers or, as the Go client sends it, in its body.
 *
 * @throws InvalidRequestError when only one of the two values is there, or one is malformed
 */
export function readConfirmation(source: Source): Confirmation | undefined {
  const composeHash = readValue(source, headerNames.composeHash, "compose_hash");
  const transactionHash = readValue(source, headerNames.transactionHash, "transaction_hash");
  if (!composeHash && !transactionHash) return undefined;
  if (!composeHash) throw missing("compose_hash");
  if (!transactionHash) throw missing("transaction_hash");
  return {
    composeHash: readComposeHash(composeHash.value, composeHash.location),
    transactionHash: readTransactionHash(transactionHash.value, transactionHash.location),
  };
}

/** @throws InvalidRequestError */
export function readTransactionHash(raw: string, location: readonly string[]): Confirmation["transactionHash"] {
  return raw === alreadyRegistered ? alreadyRegistered : parseAt(location, () => parseTransactionHash(raw));
}

/** @throws InvalidRequestError */
export function readComposeHash(raw: string, location: readonly string[]): ComposeHash {
  return parseAt(location, () => parseComposeHash(raw));
}

/** An empty value counts as none, as clients send it for what they do not know. */
function readValue(source: Source, header: string, field: string) {
  const inHeader = source.headers[header.toLowerCase()];
  if (typeof inHeader === "string" && inHeader !== "") return { value: inHeader, location: ["header", header] };
  const { body } = source;
  if (typeof body !== "object" || body === null || !(field in body)) return undefined;
  const inBody: unknown = body[field as keyof typeof body]; // `in` was checked
  return typeof inBody === "string" && inBody !== "" ? { value: inBody, location: ["body", field] } : undefined;
}

function missing(field: string): InvalidRequestError {
  return new InvalidRequestError(["body", field], `A confirmation needs ${field} too.`, "missing");
}
