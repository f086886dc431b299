import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { encodeErrorResult, pad, parseAbi, zeroAddress, zeroHash } from "viem";
import { type BootInfo, readBootVerdict } from "../../../../src/chain/read-boot.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { parseAppId, parseDeviceId } from "../../../../src/core/ids.ts";
import {
  ContractRevertedError,
  InvalidHexError,
  NoContractError,
  RpcUnavailableError,
} from "../../../../src/errors/index.ts";
import { answeringCode, revertingCode } from "../../../support/chain/answering-code.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { rejection } from "../../../support/rejection.ts";

describe("readBootVerdict", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  function bootInfo(change: Partial<BootInfo> = {}): BootInfo {
    const { appId, composeHash, deviceId, osImageHash } = dstack;
    const measured = {
      mrAggregated: zeroHash,
      mrSystem: zeroHash,
      osImageHash,
      tcbStatus: "UpToDate",
      advisoryIds: [],
    };
    return { appId, composeHash, deviceId, instanceId: zeroAddress, ...measured, ...change };
  }

  it("says that a machine may boot, and why another may not", async () => {
    const { client, kms, appId, composeHash, owner } = dstack;
    expect(await readBootVerdict(client, { kms, bootInfo: bootInfo() })).to.deep.equal({ isAllowed: true, reason: "" });

    const deviceId = parseDeviceId("ed".repeat(32));
    const refused = await readBootVerdict(client, { kms, bootInfo: bootInfo({ deviceId }) });
    expect(refused).to.deep.equal({ isAllowed: false, reason: "Device not allowed" });

    await removeComposeHash(client, { appId, composeHash, account: owner });
    const withdrawn = await readBootVerdict(client, { kms, bootInfo: bootInfo() });
    expect(withdrawn).to.deep.equal({ isAllowed: false, reason: "Compose hash not allowed" });
  });

  it("asks an app for its own rules only", async () => {
    const { client, appId } = dstack;
    const unknownImage = bootInfo({ osImageHash: zeroHash });
    expect(await readBootVerdict(client, { kms: dstack.kms, bootInfo: unknownImage })).to.include({ isAllowed: false });
    expect(await readBootVerdict(client, { kms: appId, bootInfo: unknownImage })).to.include({ isAllowed: true });
  });

  it("does not read the error of a contract as a verdict", async () => {
    const { client } = dstack;
    const kms = parseAppId("01".repeat(20));
    const text = encodeErrorResult({
      abi: parseAbi(["error Error(string)"]),
      args: [`no\u001b[2J${"!".repeat(5000)}`],
    });
    await connection.networkHelpers.setCode(kms, revertingCode(text));
    const error = await rejection(readBootVerdict(client, { kms, bootInfo: bootInfo() }));
    expect(error).to.be.instanceOf(ContractRevertedError);
    const reason: unknown = Reflect.get(Object(Reflect.get(Object(error), "context")), "reason");
    expect(reason)
      .to.match(/^no \[2J!+…$/)
      .and.to.have.lengthOf.below(300);
  });

  it("does not read burnt gas or another contract's answer as a verdict", async () => {
    const { client } = dstack;
    const kms = parseAppId("01".repeat(20));
    for (const code of ["0xfe", answeringCode({}), revertingCode(pad("0x01"))] as const) {
      await connection.networkHelpers.setCode(kms, code);
      const error = await rejection(readBootVerdict(client, { kms, bootInfo: bootInfo() }));
      expect(error, code).to.be.instanceOf(ContractRevertedError);
    }
  });

  it("recognises each node's message for burnt gas", async () => {
    const { client } = interceptedClient(connection, {
      intercept: async () => {
        throw rpcError(-32000, "out of gas: gas required exceeds: 50000000");
      },
    });
    const error = await rejection(readBootVerdict(client, { kms: dstack.kms, bootInfo: bootInfo() }));
    expect(error).to.be.instanceOf(ContractRevertedError);
  });

  it("does not read an outage or an empty address as a verdict", async () => {
    const { client } = interceptedClient(connection, {
      intercept: async () => {
        throw rpcError(-32005, "limit exceeded");
      },
    });
    const down = await rejection(readBootVerdict(client, { kms: dstack.kms, bootInfo: bootInfo() }));
    expect(down).to.be.instanceOf(RpcUnavailableError);
    const mute = interceptedClient(connection, {
      intercept: async ({ method }, pass) => (method === "eth_call" ? undefined : pass()),
    });
    const unanswered = await rejection(readBootVerdict(mute.client, { kms: dstack.kms, bootInfo: bootInfo() }));
    expect(unanswered).to.be.instanceOf(RpcUnavailableError);
    const kms = parseAppId("ab".repeat(20));
    const empty = await rejection(readBootVerdict(dstack.client, { kms, bootInfo: bootInfo() }));
    expect(empty).to.be.instanceOf(NoContractError);
  });

  it("refuses a measurement of another length", async () => {
    const { client, kms } = dstack;
    const error = await rejection(readBootVerdict(client, { kms, bootInfo: bootInfo({ osImageHash: "0x05" }) }));
    expect(error).to.be.instanceOf(InvalidHexError);
  });
});
