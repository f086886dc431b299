import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Hex, keccak256, numberToHex } from "viem";
import { getTransactionCount } from "viem/actions";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { openBatchProcesses, runBatchProcess } from "../../../support/ledger/run-batch-process.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("processes that send with one key at the same time", () => {
  const directory = useTemporaryDirectory();
  let connection: NetworkConnection;
  let dstack: Dstack;
  before(async () => {
    connection = await network.create("local");
    dstack = await deployDstack(connection);
  });

  it("give out each nonce once, and pay for the calls that they share once", async () => {
    const { settings, address, cache, close } = await openBatchProcesses(dstack, directory.path);
    const hashesOf = (from: number, count: number): Hex[] =>
      Array.from({ length: count }, (_, index) => keccak256(numberToHex(from + index)));
    // The first two are the same command; the third shares four calls with them.
    const commands = [hashesOf(0, 8), hashesOf(0, 8), hashesOf(4, 8)];
    // All begin to work at the same moment.
    const waiting: (() => void)[] = [];
    const gate = () =>
      new Promise<void>((resolve) => {
        waiting.push(resolve);
        if (waiting.length === commands.length) for (const start of waiting) start();
      });
    const ends = await Promise.all(
      commands.map((hashes) => runBatchProcess({ ...settings, window: 4, hashes }, { cache, gate })),
    ).finally(close);
    for (const { result } of ends) expect(result?.statuses, result?.message).to.deep.equal(Array(8).fill("done"));
    expect(await getTransactionCount(dstack.client, { address })).to.equal(12);
    using ledger = openLedger(settings.ledgerPath);
    const nonces = ledger.transactions().map(({ nonce, state }) => [state, nonce]);
    expect(nonces).to.have.deep.members(Array.from({ length: 12 }, (_, nonce) => ["mined", nonce]));
  });
});
