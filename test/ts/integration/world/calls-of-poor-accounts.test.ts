import { expect } from "chai";
import { encodeFunctionData } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { call, estimateGas } from "viem/actions";
import { readGas, simulateCall } from "../../../../src/chain/transactions/simulate.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { NotOwnerError } from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { rejection } from "../../../support/rejection.ts";

/** On a live chain of the OP stack, a call takes no fee of the rollup. */
describe("a call from an account without ETH, on the local world", () => {
  let world: World;
  const poor = privateKeyToAccount(generatePrivateKey()).address;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
  });

  after(() => world?.close());

  function appId() {
    const { onChain } = world.cvms;
    if (onChain?.appId === undefined) throw new Error("the world has an app");
    return onChain.appId;
  }

  function addition() {
    const { to, data } = addComposeHashCall({ appId: appId(), composeHash: parseComposeHash("0c".repeat(32)) });
    return { to, data };
  }

  it("reads the same as from every other account", async () => {
    const { client } = world.chain;
    const data = encodeFunctionData({ abi: dstackAppAbi, functionName: "owner" });
    const asked = { to: appId(), data } as const;
    expect((await call(client, { account: poor, ...asked })).data).to.equal((await call(client, asked)).data);
  });

  it("has the same estimate as from an account with ETH", async () => {
    const { client } = world.chain;
    const before = await world.snapshot();
    const rich = await estimateGas(client, { account: world.owner.address, ...addition() });
    await client.setBalance({ address: world.owner.address, value: 0n });
    const estimate = await estimateGas(client, { account: world.owner.address, ...addition() });
    expect(Number(estimate) / Number(rich)).to.be.within(1, 1.02);
    await world.restore(before);
  });

  it("reverts with the contract's reason", async () => {
    const { client } = world.chain;
    const asked = { from: poor, ...addition(), abi: dstackAppAbi, functionName: "addComposeHash" };
    expect(await rejection(simulateCall(client, asked))).to.be.instanceOf(NotOwnerError);
    expect(await rejection(readGas(client, { ...asked, ceiling: 250_000n }))).to.be.instanceOf(NotOwnerError);
  });
});
