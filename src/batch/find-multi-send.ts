import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { InvalidArgumentError } from "../errors/index.ts";

/**
 * Where Safe has deployed MultiSendCallOnly, newest first: 1.5.0, 1.4.1, 1.3.0 and the other 1.3.0 of chains that
 * refuse unprotected transactions. It keeps no state, so any of them serves a Safe of any version.
 */
const canonical: readonly Address[] = [
  "0xA83c336B20401Af773B6219BA5027174338D1836",
  "0x9641d764fc13c8B624c04430C7356C1C7C8102e2",
  "0x40A2aCCbd92BCA938b02010E17A5b8929b49130D",
  "0xA1dabEF33b3B82c7814B6D82A79e50F4AC44102B",
];
/** The Safe app itself takes the one of the Safe's version, so this keeps the hash the signers see. */
const ofVersion: readonly (readonly [start: string, address: Address])[] = [
  ["1.5.", "0xA83c336B20401Af773B6219BA5027174338D1836"],
  ["1.4.", "0x9641d764fc13c8B624c04430C7356C1C7C8102e2"],
  ["1.3.", "0x40A2aCCbd92BCA938b02010E17A5b8929b49130D"],
];

export interface FindMultiSendParameters {
  /** As the Safe's `VERSION` says it. */
  readonly version: string;
}

/**
 * MultiSendCallOnly on this chain, by preference the one of the Safe's own version.
 *
 * @throws InvalidArgumentError if there is none of them; RpcUnavailableError
 */
export async function findMultiSend(client: ChainClient, { version }: FindMultiSendParameters): Promise<Address> {
  const own = ofVersion.flatMap(([start, address]) => (version.startsWith(start) ? [address] : []));
  for (const address of new Set([...own, ...canonical]))
    if ((await readCode(client, { address })) !== "0x") return address;
  throw new InvalidArgumentError("Safe's MultiSendCallOnly is at none of its known addresses on this chain.", {
    nextStep: "Name the one your Safe uses (multiSend), or send the calls one at a time.",
    context: { looked: canonical },
  });
}
