import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { getTransactionCount } from "viem/actions";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import type { TransactionIntent } from "../../../../src/chain/transactions/intent.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { openSender, type SenderParameters } from "../../../../src/chain/transactions/sender.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall } from "../../../../src/core/owner-calls.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";

describe("a sender", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  before(async () => {
    connection = await network.create("local");
  });
  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  const callOf = (digit: number): OwnerCall =>
    addComposeHashCall({ appId: dstack.appId, composeHash: parseComposeHash(`${digit}`.repeat(64)) });
  const intentOf = (call: OwnerCall): TransactionIntent => ({ ...call, gas: 100_000n, calls: [call] });

  async function send(calls: readonly OwnerCall[], parameters: SenderParameters = {}) {
    const { client, owner } = dstack;
    using sender = await openSender(
      client,
      { account: owner, ...parameters },
      { purpose: { kind: "batch" }, calls, title: "a test" },
    );
    await sender.resume();
    await sender.send(calls.map(intentOf));
    await sender.finish();
    sender.complete();
    return sender.sent;
  }

  it("sends, and records what became of it", async () => {
    const ledger = memoryLedger();
    const { client, owner, appId } = dstack;
    const nonce = await getTransactionCount(client, { address: owner.address });
    const sent = await send([callOf(1), callOf(2)], { ledger });
    expect(sent.map(({ transaction: { state, nonce } }) => [state, nonce])).to.deep.equal([
      ["mined", nonce],
      ["mined", nonce + 1],
    ]);
    expect(await readAllowlist(client, { appId, composeHash: parseComposeHash("1".repeat(64)) })).to.include({
      composeHashAllowed: true,
    });
    const [first] = ledger.transactions();
    expect(first).to.deep.include({ state: "mined", functionName: "addComposeHash", finality: "latest" });
    expect(ledger.batches({ isOpen: true })).to.deep.equal([]);
    expect(ledger.batches()).to.have.length(1);
  });
});
