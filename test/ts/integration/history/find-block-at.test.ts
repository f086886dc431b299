import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { getBlock } from "viem/actions";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { findBlockAt } from "../../../../src/history/blocks.ts";
import { clientOf } from "../../../support/chain/deploy-dstack.ts";
import { mineBlocks } from "../../../support/history/mine.ts";

describe("findBlockAt", () => {
  let connection: NetworkConnection;
  let client: ChainClient;
  const times: bigint[] = [];

  before(async () => {
    connection = await network.create({ network: "local", override: { allowBlocksWithSameTimestamp: true } });
    client = clientOf(connection);
    // Uneven steps, as on any chain that had an outage.
    for (const seconds of [1, 1, 600, 2, 2, 86_400, 1, 30]) {
      await connection.networkHelpers.time.increase(seconds);
      await mineBlocks(connection, 1);
      // Neighbours with the same timestamp, as on a chain of several blocks a second.
      const same = await connection.networkHelpers.time.latest();
      for (let sibling = 0; sibling < seconds % 3; sibling += 1) {
        await connection.networkHelpers.time.setNextBlockTimestamp(same);
        await mineBlocks(connection, 1);
      }
    }
    const { number: last } = await getBlock(client);
    for (let number = 0n; number <= last; number += 1n)
      times.push((await getBlock(client, { blockNumber: number })).timestamp);
  });

  it("finds the block of each second, or the block before it", async () => {
    for (const timestamp of new Set(times.flatMap((time) => [time, time + 1n, time + 300n]))) {
      const found = await findBlockAt(client, { timestamp });
      expect(found?.number, `${timestamp}`).to.equal(BigInt(times.findLastIndex((time) => time <= timestamp)));
    }
  });

  it("finds the newest block for any time to come", async () => {
    const found = await findBlockAt(client, { timestamp: 1n << 40n });
    expect(found?.number).to.equal(BigInt(times.length - 1));
  });

  it("finds nothing before the chain began", async () => {
    expect(await findBlockAt(client, { timestamp: (times[0] ?? 0n) - 1n })).to.equal(undefined);
  });
});
