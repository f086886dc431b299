import { expect } from "chai";
import { network } from "hardhat";
import { parseAbi } from "viem";
import { getBlockNumber, getCode, multicall } from "viem/actions";
import { multicall3Address } from "../../../../src/core/contract-deployment.ts";
import { installMulticall3 } from "../../../../src/world/chain/predeploys.ts";
import { clientOf } from "../../../support/chain/deploy-dstack.ts";

describe("installMulticall3", () => {
  it("makes viem's multicall work on a new chain", async () => {
    const client = clientOf(await network.create("local"));
    expect(client.chain?.contracts?.multicall3?.address.toLowerCase()).to.equal(multicall3Address.toLowerCase());
    expect(await getCode(client, { address: multicall3Address })).to.equal(undefined);

    await installMulticall3(client);
    const abi = parseAbi(["function getBlockNumber() view returns (uint256)"]);
    const [height, failed] = await multicall(client, {
      contracts: [
        { address: multicall3Address, abi, functionName: "getBlockNumber" },
        { address: `0x${"ab".repeat(20)}`, abi, functionName: "getBlockNumber" },
      ],
    });
    expect(height).to.deep.equal({ status: "success", result: await getBlockNumber(client) });
    expect(failed?.status).to.equal("failure");
  });

  it("can be called twice", async () => {
    const client = clientOf(await network.create("local"));
    await installMulticall3(client);
    const code = await getCode(client, { address: multicall3Address });
    await installMulticall3(client);
    expect(await getCode(client, { address: multicall3Address })).to.equal(code);
  });
});
