import { type Account, keccak256, type SignedAuthorization } from "viem";
import { parseTransactionHash } from "../core/ids.ts";
import type { ChainClient } from "./chain-client.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";

export interface SignTransactionParameters {
  readonly account: Account;
  readonly transaction: Omit<PreparedTransaction, "from" | "rawTransaction" | "transactionHash">;
  /** Makes it an EIP-7702 transaction. */
  readonly authorization?: SignedAuthorization | undefined;
}

/** Signs a transaction whose every field is decided, if the key is here. Sends nothing. */
export async function signTransaction(
  client: ChainClient,
  { account, transaction, authorization }: SignTransactionParameters,
): Promise<PreparedTransaction> {
  const { functionName, ...fields } = transaction;
  const prepared = { ...transaction, from: account.address };
  if (account.type !== "local") return prepared;
  const rawTransaction = await account.signTransaction(
    authorization === undefined
      ? { ...fields, type: "eip1559" }
      : { ...fields, type: "eip7702", authorizationList: [authorization] },
    { serializer: client.chain?.serializers?.transaction },
  );
  return { ...prepared, rawTransaction, transactionHash: parseTransactionHash(keccak256(rawTransaction)) };
}
