import { type Address, encodeFunctionData } from "viem";
import { readContract } from "viem/actions";
import { dstackKmsAbi } from "../abi/index.ts";
import type { ChainClient } from "../chain/client.ts";
import { duringRpc } from "../chain/rpc-errors.ts";
import { sendContractCall } from "../chain/transactions/broadcast.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import type { OwnerClient } from "./owner-client.ts";
import type { WorldOsImage } from "./platform.ts";

/** Those of the images the KMS does not let boot. */
export async function findRefusedOsImages(
  client: ChainClient,
  kms: Address,
  images: readonly WorldOsImage[],
): Promise<WorldOsImage[]> {
  const allowed = await duringRpc("reading the allowed OS images", () =>
    Promise.all(
      images.map(({ hash }) =>
        readContract(client, { address: kms, abi: dstackKmsAbi, functionName: "allowedOsImages", args: [hash] }),
      ),
    ),
  );
  return images.filter((_, index) => !allowed[index]);
}

/** Lets the images boot on a KMS, for every app of it. Owner of the KMS only. */
export async function allowOsImages(client: OwnerClient, kms: Address, images: readonly WorldOsImage[]): Promise<void> {
  const functionName = "addOsImageHash";
  for (const { hash } of images) {
    const data = encodeFunctionData({ abi: dstackKmsAbi, functionName, args: [hash] });
    const transactionHash = await sendContractCall(client, { to: kms, data, abi: dstackKmsAbi, functionName });
    await waitForReceipt(client, { transactionHash, functionName });
  }
}
