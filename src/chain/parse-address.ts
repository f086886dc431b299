import { type Address, isAddress } from "viem";
import { parseFixedHex } from "../core/ids.ts";
import { InvalidHexError } from "../errors/index.ts";

/**
 * A lower-case address. One in mixed case must have its EIP-55 checksum right: a typo in an owner's address cannot
 * be taken back.
 *
 * @throws InvalidHexError
 */
export function parseAddress(what: string, raw: string): Address {
  const address = parseFixedHex(what, raw, 20);
  const hasChecksum = raw !== raw.toLowerCase() && isAddress(raw, { strict: false });
  if (hasChecksum && !isAddress(raw)) throw new InvalidHexError(`${what}, with its checksum,`, raw, 20);
  return address;
}
