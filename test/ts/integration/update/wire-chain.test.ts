import { expect } from "chai";
import { network } from "hardhat";
import { zeroHash } from "viem";
import { parseAppId, parseComposeHash, parseTransactionHash } from "../../../../src/core/ids.ts";
import { RpcUnavailableError } from "../../../../src/errors/index.ts";
import type { PaymentIntent } from "../../../../src/update/journal-state.ts";
import { wireChain } from "../../../../src/update/wire-chain.ts";
import { interceptedClient } from "../../../support/chain/intercepted-client.ts";
import { rejection } from "../../../support/rejection.ts";

describe("the receipt of a payment", () => {
  const intent: PaymentIntent = {
    chainId: 8453,
    appId: parseAppId("11".repeat(20)),
    step: "addComposeHash",
    value: parseComposeHash("22".repeat(32)),
  };
  const transactionHash = parseTransactionHash(zeroHash);

  it("is absent while the chain does not know the transaction", async () => {
    const { client } = interceptedClient(await network.create("local"));
    expect(await wireChain(client).readReceipt(intent, transactionHash)).to.equal(undefined);
  });

  it("is unknown, not absent, when the endpoint answers without a result", async () => {
    const { client } = interceptedClient(await network.create("local"), {
      intercept: ({ method }, pass) => (method === "eth_getTransactionReceipt" ? Promise.resolve(undefined) : pass()),
    });
    const reason = await rejection(wireChain(client).readReceipt(intent, transactionHash));
    expect(reason).to.be.instanceOf(RpcUnavailableError);
  });
});
