import { expect } from "chai";
import { network } from "hardhat";
import type { Account, Address } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { readChainIdentity } from "../../../../src/chain/transactions/chain-identity.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { UnsignedRecordError } from "../../../../src/errors/index.ts";
import { connectPayments } from "../../../../src/update/connect-payments.ts";
import { interceptedClient } from "../../../support/chain/intercepted-client.ts";
import { putRecord } from "../../../support/ledger/signed-record.ts";
import { rejection } from "../../../support/rejection.ts";

const appId = parseAppId("11".repeat(20));
const composeHash = parseComposeHash("22".repeat(32));
const key = "cvm_1";

/** Pays for a hash with a ledger that holds a record without signed bytes. */
async function payAfter(
  client: ChainClient,
  { from, account, call }: { readonly from: Address; readonly account: Account | Address; readonly call: OwnerCall },
): Promise<unknown> {
  const chainId = await client.request({ method: "eth_chainId" }).then(Number);
  const { chain } = await readChainIdentity(client, chainId);
  const { to, data, functionName } = call;
  const fees = { gas: 60_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n };
  const ledger = memoryLedger();
  const unsigned = { rawTransaction: undefined, transactionHash: undefined };
  const prepared = { chainId, from, nonce: 0, to, data, functionName, ...fees, ...unsigned };
  putRecord(ledger, prepared, { calls: [call], chain, purpose: { kind: "update", cvm: key } });
  using payments = connectPayments(client, { account, ledger }, { appId, key, composeHash });
  return await rejection(payments.pay([{ chainId, appId, step: "addComposeHash", value: composeHash }]));
}

describe("a recorded payment that a node signs", () => {
  const allow = addComposeHashCall({ appId, composeHash });

  it("is not sent by another account than the update's", async () => {
    const connection = await network.create("local");
    const [own, other] = (await connection.provider.request({ method: "eth_accounts" })) as Address[];
    if (own === undefined || other === undefined) throw new Error("Hardhat's chain has accounts");
    const { client, methods } = interceptedClient(connection);
    const error = await payAfter(client, { from: other, account: own, call: allow });
    expect(error).to.be.instanceOf(UnsignedRecordError);
    expect(methods).to.not.include("eth_sendTransaction");
  });

  it("is not sent where the key is in this process, which leaves no record without signed bytes", async () => {
    const { client, methods } = interceptedClient(await network.create("local"));
    const account = privateKeyToAccount(`0x${"1c".repeat(32)}`);
    const error = await payAfter(client, { from: account.address, account, call: allow });
    expect(error).to.be.instanceOf(UnsignedRecordError);
    expect(methods).to.not.include("eth_sendTransaction");
  });

  it("is not sent if it is another call than the update's", async () => {
    const connection = await network.create("local");
    const [own] = (await connection.provider.request({ method: "eth_accounts" })) as Address[];
    if (own === undefined) throw new Error("Hardhat's chain has accounts");
    const { client, methods } = interceptedClient(connection);
    const call = removeComposeHashCall({ appId, composeHash });
    const error = await payAfter(client, { from: own, account: own, call });
    expect(error).to.be.instanceOf(UnsignedRecordError);
    expect(methods).to.not.include("eth_sendTransaction");
  });
});
