import { headerNames } from "../../cloud/protocol.ts";
import { InvalidRequestError } from "../errors.ts";

/** Whether the request only wants to prepare an update. @throws InvalidRequestError */
export function readPrepareOnly(headers: Readonly<Record<string, unknown>>): boolean {
  const header = String(headers[headerNames.prepareOnly.toLowerCase()] ?? "").toLowerCase();
  if (["true", "1"].includes(header)) return true;
  if (["", "false", "0"].includes(header)) return false;
  throw new InvalidRequestError(["header", headerNames.prepareOnly], "Must be true or false.");
}
