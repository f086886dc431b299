import { expect } from "chai";
import { network } from "hardhat";
import { parseAbi } from "viem";
import { readContract, sendTransaction, waitForTransactionReceipt } from "viem/actions";
import { base } from "viem/chains";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, proveCalls, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { buildTimelockBatch } from "../../../../src/core/timelock.ts";
import { deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { deployTimelock } from "../../../support/chain/deploy-owner-contracts.ts";
import { rejection } from "../../../support/rejection.ts";

const abi = parseAbi([
  "function isOperationPending(bytes32 id) view returns (bool)",
  "function isOperationDone(bytes32 id) view returns (bool)",
]);

describe("buildTimelockBatch", () => {
  it("is scheduled and executed by OpenZeppelin's timelock under the id that it names", async () => {
    const connection = await network.create("local");
    const dstack = await deployDstack(connection);
    const { client, stranger, composeHash } = dstack;
    const timelock = await deployTimelock(client, stranger, 3600n);
    const appId = await deployAppOf(dstack, timelock);
    const calls = [
      addComposeHashCall({ appId, composeHash: parseComposeHash("0c".repeat(32)) }),
      removeComposeHashCall({ appId, composeHash }),
    ];
    const batch = buildTimelockBatch({ calls, timelock, delaySeconds: 3600n, salt: `0x${"5a".repeat(32)}` });
    const send = async (data: `0x${string}`) => {
      const hash = await sendTransaction(client, { account: stranger, chain: base, to: timelock, data });
      return waitForTransactionReceipt(client, { hash });
    };
    const asks = (functionName: "isOperationPending" | "isOperationDone") =>
      readContract(client, { address: timelock, abi, functionName, args: [batch.operationId] });

    await send(batch.schedule);
    expect(await asks("isOperationPending")).to.equal(true);
    expect(String(await rejection(send(batch.execute)))).to.contain("revert");
    await connection.networkHelpers.time.increase(3601);
    proveCalls(await send(batch.execute), calls);
    expect(await asks("isOperationDone")).to.equal(true);
    await connection.close();
  });
});
