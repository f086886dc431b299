import { type Address, zeroAddress } from "viem";
import { isSameCall, type OwnerCall } from "./owner-calls.ts";
import type { SafeTx } from "./safe.ts";
import { decodeSafeTx } from "./safe-calldata.ts";

export interface ObjectionsToSafeTxParameters {
  readonly safe: Address;
  /** The calls that the transaction must make, in this order. */
  readonly calls: readonly OwnerCall[];
}

/**
 * Says what a Safe transaction does beside these calls, or not as planned. Empty if it makes exactly these calls, fails
 * as a whole if one of them fails, and pays nobody. Each objection is a sentence.
 */
export function objectionsToSafeTx(
  safeTx: Omit<SafeTx, "nonce">,
  { safe, calls }: ObjectionsToSafeTxParameters,
): readonly string[] {
  const contracts = calls.map(({ contract, to }) => ({ contract, address: to }));
  const decoded = decodeSafeTx(safeTx, { safe, contracts });
  const { safeTxGas, baseGas, gasPrice, gasToken, refundReceiver } = safeTx;
  const objections = decoded.problems.map(({ message }) => message);
  if (safeTxGas > 0n)
    objections.push(
      `It sets safeTxGas to ${safeTxGas}. If a call then fails, the Safe uses up the nonce, and nothing changes.`,
    );
  if (gasPrice === 0n && (baseGas > 0n || gasToken !== zeroAddress || refundReceiver !== zeroAddress))
    objections.push("It sets fields of a refund, which a plan never does.");
  if (objections.length > 0) return objections;
  if (decoded.calls.length !== calls.length)
    return [`It makes ${decoded.calls.length} calls, but ${calls.length} are planned.`];
  return calls.flatMap((call, index) => {
    const found = decoded.calls[index];
    if (found !== undefined && isSameCall(call, found)) return [];
    const what = found?.call?.description ?? "another call";
    return [`Call ${index + 1} is "${what}", but "${call.description}" is planned.`];
  });
}
