import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { createClient, custom, numberToHex } from "viem";
import { getBlockNumber } from "viem/actions";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { ContractRevertedError, RpcUnavailableError } from "../../../../src/errors/index.ts";
import { readAllowedKeys } from "../../../../src/history/compare-with-state.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { mineBlocks } from "../../../support/history/mine.ts";
import { rejection } from "../../../support/rejection.ts";

const keys = Array.from({ length: 1_000 }, (_, index) => parseComposeHash(numberToHex(index + 1, { size: 32 })));
/** At the ends of requests of 400 and of their halves. */
const places = [3, 199, 200, 399, 400, 799, 800, 999];
const listed = keys.filter((_, index) => places.includes(index));

describe("readAllowedKeys", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  let earlier: bigint;
  let now: bigint;

  before(async () => {
    connection = await network.create("local");
    dstack = await deployDstack(connection);
    const { client, appId, owner } = dstack;
    earlier = await getBlockNumber(client, { cacheTime: 0 });
    for (const composeHash of listed) await addComposeHash(client, { appId, composeHash, account: owner });
    now = await getBlockNumber(client, { cacheTime: 0 });
  });

  const read = async (client: ChainClient, { blockNumber = now, of = keys, appId = dstack.appId } = {}) => [
    ...(await readAllowedKeys(client, { appId, view: "allowedComposeHashes", keys: of, blockNumber, retryDelayMs: 1 })),
  ];

  it("finds each of many keys, at that block", async () => {
    expect(await read(dstack.client)).to.deep.equal(listed);
    expect(await read(dstack.client, { blockNumber: earlier })).to.deep.equal([]);
    expect(await read(dstack.client, { of: [] })).to.deep.equal([]);
  });

  it("finds each of many keys without Multicall3", async () => {
    const plain = createClient({ transport: custom(connection.provider) });
    const of = keys.slice(190, 210);
    expect(await read(plain, { of })).to.deep.equal(listed.slice(1, 3));
  });

  it("asks for fewer keys when the endpoint refuses many", async () => {
    const { client } = interceptedClient(connection, {
      intercept: async ({ method, params }, pass) => {
        if (method === "eth_call" && JSON.stringify(params).length > 30_000) throw rpcError(-32603, "internal error");
        return pass();
      },
    });
    expect(await read(client)).to.deep.equal(listed);
  });

  it("fails when the endpoint or the contract does not answer", async () => {
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method === "eth_call") throw rpcError(-32603, "internal error");
        return pass();
      },
    });
    expect(await rejection(read(client, { of: keys.slice(0, 20) }))).to.be.instanceOf(RpcUnavailableError);
    const absent = parseAppId("ab".repeat(20));
    expect(await rejection(read(dstack.client, { appId: absent }))).to.be.instanceOf(ContractRevertedError);
    const refusing = parseAppId("fd".repeat(20));
    await connection.networkHelpers.setCode(refusing, "0x5f5ffd"); // reverts every call
    await mineBlocks(connection, 1);
    const latest = await getBlockNumber(dstack.client, { cacheTime: 0 });
    for (const of of [keys, keys.slice(0, 2)]) {
      const asked = read(dstack.client, { appId: refusing, blockNumber: latest, of });
      expect(await rejection(asked)).to.be.instanceOf(ContractRevertedError);
    }
  });
});
