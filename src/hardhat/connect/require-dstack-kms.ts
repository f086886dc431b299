import type { Address } from "viem";
import type { ChainClient } from "../../chain/client.ts";
import { readContractKind } from "../../chain/read-app.ts";
import type { Generation } from "../../core/generation.ts";
import { InvalidArgumentError } from "../../errors/index.ts";

/**
 * Returns the generation of the KMS at the address. An app in its place is a slip of the command line or the configuration, and so is
 * an address without a contract.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
export async function requireDstackKms(client: ChainClient, kms: Address): Promise<Generation> {
  const { hasCode, isApp, isKms, generation } = await readContractKind(client, { address: kms });
  // A KMS with key epochs need not have the views of the first generation.
  if (isKms || (generation.hasKeyEpochs === true && !isApp)) return generation;
  if (!hasCode) {
    throw new InvalidArgumentError(`There is no contract at the KMS address ${kms}.`, {
      nextStep: "Check --kms or dstack.kms, and --network.",
      context: { kms },
    });
  }
  throw new InvalidArgumentError(`${kms} is ${isApp ? "an app" : "another contract"}, not a DstackKms.`, {
    nextStep: "Give --kms or dstack.kms the address of the KMS; dstack status --cvm NAME shows an app's.",
    context: { kms, isApp },
  });
}
