import {
  type Address,
  type Hex,
  isHex,
  keccak256,
  numberToHex,
  parseTransaction,
  recoverTransactionAddress,
  type TransactionSerializedEIP7702,
} from "viem";
import type { AnswerRpc } from "./rpc-server.ts";

/** Whether this is a signed EIP-7702 transaction (type 4). */
export function isTypeFour(raw: unknown): raw is TransactionSerializedEIP7702 {
  return isHex(raw) && raw.toLowerCase().startsWith("0x04");
}

/**
 * Sends a signed transaction of type 4. On an OP stack chain, EDR can run such a transaction but cannot decode it. So
 * EDR signs the same transaction again with its own keys, which gives the same bytes and hash. It has only the keys of
 * Hardhat's well-known accounts.
 */
export async function sendTypeFour(request: AnswerRpc, raw: TransactionSerializedEIP7702): Promise<unknown> {
  const [from, accounts] = await Promise.all([
    recoverTransactionAddress({ serializedTransaction: raw }),
    request("eth_accounts", []),
  ]);
  if (!(accounts as readonly Address[]).some((account) => account.toLowerCase() === from.toLowerCase())) {
    throw Object.assign(
      new Error("Invalid transaction type 4: this simulated chain accepts it only from Hardhat's own accounts."),
      { code: -32_000 },
    );
  }
  const hash = await request("eth_sendTransaction", [toRequest(from, raw)]);
  if (hash !== keccak256(raw))
    throw new Error("The simulated chain created another transaction from the signed bytes.");
  return hash;
}

function toRequest(from: Address, raw: TransactionSerializedEIP7702) {
  const { to, data, value, gas, nonce, chainId, maxFeePerGas, maxPriorityFeePerGas, accessList, authorizationList } =
    parseTransaction(raw);
  return {
    from,
    to,
    data: data ?? "0x",
    value: toQuantity(value),
    gas: toQuantity(gas),
    nonce: toQuantity(nonce),
    chainId: toQuantity(chainId),
    maxFeePerGas: toQuantity(maxFeePerGas),
    maxPriorityFeePerGas: toQuantity(maxPriorityFeePerGas),
    accessList: accessList ?? [],
    authorizationList: (authorizationList ?? []).map((authorization) => ({
      chainId: toQuantity(authorization.chainId),
      address: authorization.address,
      nonce: toQuantity(authorization.nonce),
      yParity: toQuantity(authorization.yParity),
      r: authorization.r,
      s: authorization.s,
    })),
  };
}

function toQuantity(value: number | bigint | undefined): Hex {
  return numberToHex(value ?? 0);
}
