import type { Address } from "viem";
import type { ReadOwnerReturnType } from "../../chain/read-owner.ts";
import type { BatchArgument } from "./batch-argument.ts";

/** How calls get to the chain: sent by an account of ours, or as a file through the hands of a Safe's owners. */
export type Delivery =
  | { readonly kind: "send"; readonly mode: Exclude<BatchArgument["mode"], "safe"> }
  | {
      readonly kind: "prepare";
      readonly safe: Address;
      /** As the operator named it, if they did. */
      readonly file: string | undefined;
      /** Why, for people. */
      readonly reason: string;
    };

/**
 * Left the choice, calls that only a Safe can make are prepared for it: no key of ours could ever send them.
 *
 * @param signatory whose signature the calls need
 */
export function chooseDelivery(argument: BatchArgument, signatory: ReadOwnerReturnType): Delivery {
  const { address: safe, kind } = signatory;
  if (argument.mode === "safe")
    return { kind: "prepare", safe, file: argument.file, reason: "a file for a Safe was asked for" };
  if (argument.mode === "auto" && kind === "safe")
    return { kind: "prepare", safe, file: undefined, reason: "only a Safe may do this" };
  return { kind: "send", mode: argument.mode };
}
