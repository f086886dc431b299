import { getAbiItem, type Hex } from "viem";
import { dstackKmsAbi } from "../abi/index.ts";
import { ReceiptMismatchError } from "../errors/index.ts";
import { decodeEvents, type EventReceipt } from "./decode-events.ts";
import { type AppId, parseAppId } from "./ids.ts";

const factoryEvents = [getAbiItem({ abi: dstackKmsAbi, name: "AppDeployedViaFactory" })] as const;

/**
 * The app that the factory of `kms` deployed in this receipt; the first one, if a batch deployed several.
 *
 * @throws ReceiptMismatchError if this KMS deployed none
 */
export function deployedApp(receipt: EventReceipt, { kms }: { readonly kms: Hex }): AppId {
  const [event] = decodeEvents(factoryEvents, receipt, kms);
  if (event === undefined) {
    throw new ReceiptMismatchError({
      transactionHash: receipt.transactionHash,
      eventName: "AppDeployedViaFactory",
      emitter: kms,
      expected: "any app",
      found: [],
    });
  }
  return parseAppId(event.args.appId);
}
