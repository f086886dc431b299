import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Hex, keccak256, numberToHex, parseAbiItem } from "viem";
import { getLogs, getTransactionCount } from "viem/actions";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import type { BatchProcessSettings } from "../../../support/ledger/batch-process.ts";
import { openBatchProcesses, runBatchProcess } from "../../../support/ledger/run-batch-process.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

/** `npm run soak` sets more. */
const kills = Number(process.env.SOAK_KILLS ?? 30);
const hashesOfCommand = 4;

describe("batches of one key whose processes are killed at random moments", () => {
  const directory = useTemporaryDirectory();
  let connection: NetworkConnection;
  let dstack: Dstack;
  before(async () => {
    connection = await network.create("local");
    dstack = await deployDstack(connection);
  });

  it(`pay every call once, and lose none, over ${kills} kills`, async function () {
    this.timeout(60_000 + kills * 10_000);
    const { client } = dstack;
    const { settings, address, cache, close } = await openBatchProcesses(dstack, directory.path);
    const { appId } = settings;
    let numbers = 0;
    const wanted: Hex[] = [];
    const nextCommand = (): BatchProcessSettings => {
      const hashes = Array.from({ length: hashesOfCommand }, () => keccak256(numberToHex(++numbers)));
      wanted.push(...hashes);
      return { ...settings, hashes, window: 2 };
    };

    let killed = 0;
    let usualMs = (await runBatchProcess(nextCommand(), { cache })).workedMs;
    /** Runs the same command until it ends, however often it is killed. Then it runs the next one. */
    async function work(): Promise<void> {
      for (let command = nextCommand(); ; ) {
        const isLast = killed >= kills;
        const killAfterMs = isLast ? undefined : Math.random() * usualMs;
        const { isKilled, workedMs, result } = await runBatchProcess(command, { cache, killAfterMs });
        if (isKilled) killed += 1;
        if (result === undefined) continue;
        // Killed after its end and before its last word, it has nothing left to do.
        if (result.error !== "NoEffectError") {
          expect(result.error, result.message).to.equal(undefined);
          expect(result.statuses).to.deep.equal(Array(hashesOfCommand).fill("done"));
        }
        if (isLast) return;
        usualMs = workedMs;
        command = nextCommand();
      }
    }
    try {
      await Promise.all([work(), work()]);
    } finally {
      await close();
    }

    const event = parseAbiItem("event ComposeHashAdded(bytes32 composeHash)");
    const logs = await getLogs(client, { address: appId, event, fromBlock: 0n });
    const added = logs.map(({ args }) => args.composeHash).filter((hash) => hash !== dstack.composeHash);
    expect(added, "each hash was added once").to.have.members(wanted);
    expect(added).to.have.length(wanted.length);
    expect(await getTransactionCount(client, { address }), "no other transaction was paid").to.equal(wanted.length);
    using ledger = openLedger(settings.ledgerPath);
    expect(ledger.transactions({ states: ["open"] })).to.deep.equal([]);
    expect(killed).to.be.at.least(kills);
  });
});
