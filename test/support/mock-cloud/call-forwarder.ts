import { type Address, concat, type Hex } from "viem";
import { sendTransaction, waitForTransactionReceipt } from "viem/actions";
import type { AppId } from "../../../src/core/ids.ts";
import type { Dstack } from "../chain/deploy-dstack.ts";

/**
 * A contract that makes the call it is given: the first 20 bytes of its calldata are the target, the rest is passed
 * on. It stands for every owner that is a contract, such as a Safe: transactions go to it, events come from the app.
 *
 *   calldatacopy(0, 20, calldatasize - 20)
 *   if not call(gas, calldataload(0) >> 96, 0, 0, calldatasize - 20, 0, 0) revert
 */
const runtime: Hex = "0x6014360380601460003760006000826000600060003560601c5af115602057005b60006000fd";
const creation = concat(["0x602680600b6000396000f3", runtime]);

export async function deployForwarder({ client, owner }: Dstack): Promise<Address> {
  const hash = await sendTransaction(client, { account: owner, chain: client.chain, data: creation });
  const { contractAddress } = await waitForTransactionReceipt(client, { hash });
  if (!contractAddress) throw new Error("The forwarder was not deployed.");
  return contractAddress;
}

/** Sends a call through the forwarder and returns the transaction's hash. */
export async function forward({ client, owner }: Dstack, forwarder: Address, target: AppId, data: Hex): Promise<Hex> {
  const hash = await sendTransaction(client, {
    account: owner,
    chain: client.chain,
    to: forwarder,
    data: concat([target, data]),
  });
  await waitForTransactionReceipt(client, { hash });
  return hash;
}
