import { expect } from "chai";
import { network } from "hardhat";
import { zeroHash } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { parseAppId, parseComposeHash, parseTransactionHash } from "../../../../src/core/ids.ts";
import { RpcUnavailableError, SignerRequiredError, UnsignedRecordError } from "../../../../src/errors/index.ts";
import { connectChain } from "../../../../src/update/connect-chain.ts";
import type { PaymentIntent } from "../../../../src/update/journal-state.ts";
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
    expect(await connectChain(client).readReceipt(intent, transactionHash)).to.equal(undefined);
  });

  it("is unknown, not absent, when the endpoint answers without a result", async () => {
    const { client } = interceptedClient(await network.create("local"), {
      intercept: ({ method }, pass) => (method === "eth_getTransactionReceipt" ? Promise.resolve(undefined) : pass()),
    });
    const reason = await rejection(connectChain(client).readReceipt(intent, transactionHash));
    expect(reason).to.be.instanceOf(RpcUnavailableError);
  });
});

describe("a recorded payment that a node signs", () => {
  it("is not sent by another account than the update's", async () => {
    const connection = await network.create("local");
    const [own, other] = (await connection.provider.request({ method: "eth_accounts" })) as `0x${string}`[];
    if (own === undefined || other === undefined) throw new Error("Hardhat's chain has accounts");
    const { client, methods } = interceptedClient(connection);
    const intent: PaymentIntent = {
      chainId: await client.request({ method: "eth_chainId" }).then(Number),
      appId: parseAppId("11".repeat(20)),
      step: "addComposeHash",
      value: parseComposeHash("22".repeat(32)),
    };
    const { chainId, appId: to } = intent;
    const fees = { gas: 60_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n };
    const recorded = { chainId, from: other, to, data: "0x", nonce: 0, ...fees } as const;
    const error = await rejection(connectChain(client, own).sendAgain(intent, recorded));
    expect(error).to.be.instanceOf(SignerRequiredError).and.have.property("message").that.includes(other);
    expect(methods).to.not.include("eth_sendTransaction");
  });

  it("is not sent where the key is in this process, which leaves no record without signed bytes", async () => {
    const { client, methods } = interceptedClient(await network.create("local"));
    const account = privateKeyToAccount(`0x${"1c".repeat(32)}`);
    const chainId = await client.request({ method: "eth_chainId" }).then(Number);
    const to = parseAppId("11".repeat(20));
    const intent = { chainId, appId: to, step: "addComposeHash", value: parseComposeHash("22".repeat(32)) } as const;
    const fees = { gas: 60_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n };
    const from = account.address.toLowerCase() as `0x${string}`; // hex stays hex
    const recorded = { chainId, from, to, data: "0x", nonce: 0, ...fees } as const;
    const error = await rejection(connectChain(client, account).sendAgain(intent, recorded));
    expect(error).to.be.instanceOf(UnsignedRecordError);
    expect(methods).to.not.include("eth_sendTransaction");
  });
});
