import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { encodeErrorResult, encodeFunctionResult, pad, parseAbi, zeroAddress } from "viem";
import { getBlockNumber } from "viem/actions";
import { base } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { setAllowAnyDevice } from "../../../../src/chain/set-allow-any-device.ts";
import { multicall3Address } from "../../../../src/core/contract-deployment.ts";
import { generations } from "../../../../src/core/generation.ts";
import { parseAppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { ContractRevertedError, NoContractError, RpcUnavailableError } from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { answeringCode, revertingCode } from "../../../support/chain/answering-code.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { startFaultServer } from "../../../support/chain/fault-server.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { rejection } from "../../../support/rejection.ts";

const otherHash = parseComposeHash("0c".repeat(32));
const otherDevice = parseDeviceId("ed".repeat(32));
const chainWithoutMulticall3 = { ...base, contracts: {} };

describe("readAllowlist", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  it("reads the state of one hash and one device, and the owner", async () => {
    const { client, appId, composeHash, deviceId, owner } = dstack;
    expect(await readAllowlist(client, { appId, composeHash, deviceId })).to.deep.equal({
      blockNumber: await getBlockNumber(client, { cacheTime: 0 }),
      generation: generations.first,
      owner: owner.address,
      pendingOwner: undefined,
      allowAnyDevice: false,
      requireTcbUpToDate: false,
      composeHashAllowed: true,
      deviceListed: true,
      deviceAllowed: true,
    });
    const unknown = await readAllowlist(client, { appId, composeHash: otherHash, deviceId: otherDevice });
    expect(unknown).to.include({ composeHashAllowed: false, deviceListed: false, deviceAllowed: false });
  });

  it("leaves undefined what the caller did not ask for", async () => {
    const { client, appId } = dstack;
    expect(await readAllowlist(client, { appId })).to.include({
      composeHashAllowed: undefined,
      deviceListed: undefined,
      allowAnyDevice: false,
    });
  });

  it("tells a listed device from one that may boot because any device may", async () => {
    const { client, appId, owner } = dstack;
    await setAllowAnyDevice(client, { appId, allowAnyDevice: true, account: owner });
    const allowlist = await readAllowlist(client, { appId, deviceId: otherDevice });
    expect(allowlist).to.include({ allowAnyDevice: true, deviceListed: false, deviceAllowed: true });
  });

  it("sends one request with Multicall3, and reads the same one by one without it", async () => {
    const { appId, composeHash } = dstack;
    const question = { appId, composeHash, deviceId: otherDevice };
    const together = interceptedClient(connection);
    const oneByOne = interceptedClient(connection, { chain: chainWithoutMulticall3 });

    const answer = await readAllowlist(together.client, question);
    expect(answer).to.include({ composeHashAllowed: true, deviceListed: false });
    expect(await readAllowlist(oneByOne.client, question)).to.deep.equal(answer);
    expect(together.methods).to.deep.equal(["eth_call"]);
    expect(oneByOne.methods).to.deep.equal(["eth_blockNumber", ...Array(11).fill("eth_call")]);
  });

  for (const [what, code] of [
    ["no code", "0x"],
    [
      "code that answers everything with a zero word",
      answeringCode({ "aggregate3((address,bool,bytes)[])": pad("0x") }),
    ],
    ["code that reverts", revertingCode("0x")],
  ] as const) {
    it(`does not read "not allowed" from a Multicall3 with ${what}`, async () => {
      const { client, appId, composeHash, deviceId } = dstack;
      const question = { appId, composeHash, deviceId };
      const answer = await readAllowlist(client, question);
      await connection.networkHelpers.setCode(multicall3Address, code);
      expect(await readAllowlist(client, question)).to.deep.equal(answer);
      expect(answer).to.include({ composeHashAllowed: true, deviceListed: true });
    });
  }

  for (const [what, chain] of [
    ["with Multicall3", base],
    ["without", chainWithoutMulticall3],
  ] as const) {
    describe(`on a chain ${what}`, () => {
      it("reads the past at one pinned block", async () => {
        const { appId, owner, client: writer } = dstack;
        const { client } = interceptedClient(connection, { chain });
        const blockNumber = await getBlockNumber(client, { cacheTime: 0 });
        await addComposeHash(writer, { appId, composeHash: otherHash, account: owner });

        const before = await readAllowlist(client, { appId, composeHash: otherHash, blockNumber });
        expect(before).to.include({ blockNumber, composeHashAllowed: false });
        const now = await readAllowlist(client, { appId, composeHash: otherHash });
        expect(now).to.include({ blockNumber: blockNumber + 1n, composeHashAllowed: true });
      });

      it("refuses an address without code", async () => {
        const { client } = interceptedClient(connection, { chain });
        const absent = parseAppId("ab".repeat(20));
        const error = await rejection(readAllowlist(client, { appId: absent, composeHash: otherHash }));
        expect(error).to.be.instanceOf(NoContractError);
        expect(error).to.have.nested.property("context.address", absent);
      });

      it("refuses a contract that is not an app", async () => {
        const { client } = interceptedClient(connection, { chain });
        const appId = parseAppId(dstack.kms);
        const error = await rejection(readAllowlist(client, { appId, composeHash: otherHash }));
        expect(error).to.be.instanceOf(ContractRevertedError);
        expect(error).to.have.nested.property("context.functionName", "allowAnyDevice");
      });

      it("reads an app too old for two-step ownership, TCB flag and version", async () => {
        const { client } = interceptedClient(connection, { chain });
        const appId = parseAppId("01".repeat(20));
        const yes = pad("0x01");
        await connection.networkHelpers.setCode(
          appId,
          answeringCode({
            "owner()": encodeFunctionResult({ abi: dstackAppAbi, functionName: "owner", result: dstack.owner.address }),
            "allowAnyDevice()": pad("0x"),
            "allowedComposeHashes(bytes32)": yes,
            "allowedDeviceIds(bytes32)": yes,
          }),
        );
        const old = await readAllowlist(client, { appId, composeHash: otherHash, deviceId: otherDevice });
        expect(old).to.include({
          owner: dstack.owner.address,
          pendingOwner: undefined,
          requireTcbUpToDate: false,
          composeHashAllowed: true,
          deviceAllowed: true,
        });
      });

      it("does not read the data of a revert as an answer", async () => {
        const { client } = interceptedClient(connection, { chain });
        const appId = parseAppId("04".repeat(20));
        await connection.networkHelpers.setCode(appId, revertingCode(pad("0x01")));
        const error = await rejection(readAllowlist(client, { appId, composeHash: otherHash }));
        expect(error).to.be.instanceOf(ContractRevertedError);
      });

      it("refuses a flag that is neither true nor false", async () => {
        const { client } = interceptedClient(connection, { chain });
        const appId = parseAppId("02".repeat(20));
        const flag = pad("0x02");
        await connection.networkHelpers.setCode(
          appId,
          answeringCode({
            "owner()": pad(zeroAddress),
            "allowAnyDevice()": flag,
            "allowedComposeHashes(bytes32)": flag,
          }),
        );
        const error = await rejection(readAllowlist(client, { appId, composeHash: otherHash }));
        expect(error).to.be.instanceOf(ContractRevertedError);
      });

      for (const [fault, code] of [
        ["is overloaded", -32005],
        ["is at fault", -32603],
        ["does not have the block yet", -32000],
      ] as const) {
        it(`reads no answer from an endpoint that ${fault}`, async () => {
          const { client } = interceptedClient(connection, {
            chain,
            intercept: async ({ method }, pass) => {
              if (method === "eth_call") throw rpcError(code, "header not found");
              return pass();
            },
          });
          const { appId, composeHash } = dstack;
          expect(await rejection(readAllowlist(client, { appId, composeHash }))).to.be.instanceOf(RpcUnavailableError);
        });
      }
    });
  }

  it("does not follow a contract's request to read a URL", async () => {
    let visits = 0;
    const server = await startFaultServer((_, response) => {
      visits += 1;
      response.end("{}");
    });
    try {
      const appId = parseAppId("03".repeat(20));
      const lookup = encodeErrorResult({
        abi: parseAbi([
          "error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callback, bytes extra)",
        ]),
        args: [appId, [`http://127.0.0.1:${server.port}/{sender}/{data}`], "0x", "0x00000000", "0x"],
      });
      await connection.networkHelpers.setCode(appId, revertingCode(lookup));
      const { client } = interceptedClient(connection, { chain: chainWithoutMulticall3 });
      const error = await rejection(readAllowlist(client, { appId, composeHash: otherHash }));
      expect(error).to.be.instanceOf(ContractRevertedError);
      expect(visits).to.equal(0);
    } finally {
      await server.close();
    }
  });
});
