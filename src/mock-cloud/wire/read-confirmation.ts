import { alreadyRegistered, headerNames } from "../../cloud/protocol.ts";
import { type ComposeHash, parseComposeHash, parseTransactionHash } from "../../core/ids.ts";
import { InvalidRequestError } from "../errors.ts";
import type { Confirmation } from "../services/confirmation.ts";
import { parseAt } from "./parse-at.ts";
import { findChangeField } from "./read-change.ts";

interface Source {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** What the fields of a confirmation are called: by the Go client, and in the update guide. */
const confirmationFields = {
  composeHash: ["compose_hash", "composeHash"],
  transactionHash: ["transaction_hash", "transactionHash"],
} as const;

/**
 * The confirmation a request carries in its headers or its body.
 *
 * @throws InvalidRequestError when only one of the two values is there, or one is malformed
 */
export function readConfirmation(source: Source): Confirmation | undefined {
  const { composeHash, transactionHash } = readValues(source);
  return composeHash || transactionHash ? toConfirmation({ composeHash, transactionHash }) : undefined;
}

/**
 * The confirmation of a request that can be nothing else.
 *
 * @throws InvalidRequestError when one of the two values is missing or malformed, or the body asks for a change as well
 */
export function requireConfirmation(source: Source): Confirmation {
  const confirmation = toConfirmation(readValues(source));
  const field = findChangeField(source.body);
  if (field === undefined) return confirmation;
  throw new InvalidRequestError(["body", field], "A confirmation changes nothing else. Send changes to PATCH.");
}

interface Values {
  readonly composeHash: Value | undefined;
  readonly transactionHash: Value | undefined;
}

interface Value {
  readonly value: string;
  readonly location: readonly string[];
}

function readValues(source: Source): Values {
  return {
    composeHash: readValue(source, headerNames.composeHash, confirmationFields.composeHash),
    transactionHash: readValue(source, headerNames.transactionHash, confirmationFields.transactionHash),
  };
}

/** @throws InvalidRequestError */
function toConfirmation({ composeHash, transactionHash }: Values): Confirmation {
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

/**
 * An empty value counts as none, as clients send it for what they do not know.
 *
 * @throws InvalidRequestError when the body says it twice and not the same
 */
function readValue({ headers, body }: Source, header: string, fields: readonly string[]): Value | undefined {
  const inHeader = headers[header.toLowerCase()];
  if (typeof inHeader === "string" && inHeader !== "") return { value: inHeader, location: ["header", header] };
  if (typeof body !== "object" || body === null) return undefined;
  const [first, second] = fields.flatMap((field) => {
    const value: unknown = Object.hasOwn(body, field) ? Reflect.get(body, field) : null;
    if (value === null || value === "") return [];
    if (typeof value !== "string") throw new InvalidRequestError(["body", field], "Must be a string.");
    return [{ value, location: ["body", field] }];
  });
  if (first && second && first.value !== second.value) {
    throw new InvalidRequestError(second.location, `Differs from ${first.location.join(".")}.`);
  }
  return first;
}

function missing(field: string): InvalidRequestError {
  return new InvalidRequestError(["body", field], `A confirmation needs ${field} too.`, "missing");
}
