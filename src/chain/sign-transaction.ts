import { type Account, keccak256, type SignedAuthorization } from "viem";
import { parseTransactionHash } from "../core/ids.ts";
import { ImplausibleAnswerError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";
import { highestTip } from "./read-fees.ts";

export interface SignTransactionParameters {
  readonly account: Account;
  readonly transaction: Omit<PreparedTransaction, "from" | "rawTransaction" | "transactionHash">;
  /** Makes it an EIP-7702 transaction. */
  readonly authorization?: SignedAuthorization | undefined;
}

/**
 * Signs a transaction whose every field is decided, if the key is here. Sends nothing. It carries no value, and no tip
 * above the highest: whoever prepared it.
 *
 * @throws ImplausibleAnswerError
 */
export async function signTransaction(
  client: ChainClient,
  { account, transaction, authorization }: SignTransactionParameters,
): Promise<PreparedTransaction> {
  const { functionName, ...fields } = transaction;
  const { maxPriorityFeePerGas: told } = fields;
  if (told > highestTip) throw new ImplausibleAnswerError({ what: "the tip in wei per gas", told, most: highestTip });
  const prepared = { ...transaction, from: account.address };
  if (account.type !== "local") return prepared;
  const rawTransaction = await account.signTransaction(
    authorization === undefined
      ? { ...fields, value: 0n, type: "eip1559" }
      : { ...fields, value: 0n, type: "eip7702", authorizationList: [authorization] },
    { serializer: client.chain?.serializers?.transaction },
  );
  return { ...prepared, rawTransaction, transactionHash: parseTransactionHash(keccak256(rawTransaction)) };
}
