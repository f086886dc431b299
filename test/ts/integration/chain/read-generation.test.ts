import { expect } from "chai";
import { network } from "hardhat";
import { createClient, custom, defineChain, type Hex } from "viem";
import { base } from "viem/chains";
import { readGeneration } from "../../../../src/chain/generation.ts";
import { readAllowlist, readAppSettings } from "../../../../src/chain/read-app.ts";
import { readBootRules } from "../../../../src/chain/read-boot.ts";
import { readKmsStatus } from "../../../../src/chain/read-kms.ts";
import { type GenerationId, generations } from "../../../../src/core/generation.ts";
import { type AppId, parseAppId } from "../../../../src/core/ids.ts";
import { ContractRevertedError, NoContractError } from "../../../../src/errors/index.ts";
import { answeringCode, revertingCode } from "../../../support/chain/answering-code.ts";
import { type Dstack, deployDstack, type OpConnection } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient } from "../../../support/chain/intercepted-client.ts";
import { epochInterfaces, oddities, upgradeTo } from "../../../support/chain/upgrade-to.ts";
import { rejection } from "../../../support/rejection.ts";

const withoutMulticall3 = defineChain({ ...base, contracts: {} });
const yes: Hex = `0x${"00".repeat(31)}01`;

describe("the generation of a contract", () => {
  let connection: OpConnection;
  let dstack: Dstack;
  before(async () => {
    connection = await network.create("local");
  });
  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  const upgrade = (proxy: Hex, contract: string, args: readonly unknown[]) => {
    const { owner: account } = dstack;
    const client = createClient({
      account,
      chain: base,
      transport: custom(connection.provider, { retryCount: 0 }),
      pollingInterval: 20,
    });
    return upgradeTo(client, { proxy, contract, args });
  };
  const bootInfo = (appId: AppId) => ({
    appId,
    composeHash: dstack.composeHash,
    deviceId: dstack.deviceId,
    osImageHash: dstack.osImageHash,
    instanceId: appId,
    mrAggregated: `0x${"00".repeat(32)}` as const,
    mrSystem: `0x${"00".repeat(32)}` as const,
    tcbStatus: "UpToDate",
    advisoryIds: [],
  });

  for (const [how, chain] of [
    ["in one call of Multicall3", base],
    ["call by call", withoutMulticall3],
  ] as const) {
    describe(`asked ${how}`, () => {
      const reader = () => interceptedClient(connection, { chain }).client;

      for (const id of ["0.6.4", "0.6.5"] as const) {
        it(`is read as ${id} by every read of app and KMS`, async () => {
          const { appId, kms, composeHash, osImageHash } = dstack;
          await upgrade(appId, "EpochApp", [epochInterfaces[id]]);
          await upgrade(kms, "EpochKms", [epochInterfaces[id]]);
          const expected = generations[id];
          expect(await readGeneration(reader(), { address: appId })).to.deep.equal(expected);
          expect(await readGeneration(reader(), { address: kms })).to.deep.equal(expected);
          expect(await readAllowlist(reader(), { appId, composeHash })).to.deep.include({ generation: expected });
          expect(await readAppSettings(reader(), { appId })).to.deep.include({ generation: expected });
          expect(await readKmsStatus(reader(), { kms, osImageHashes: [osImageHash] })).to.deep.include({
            generation: expected,
            osImages: [{ value: osImageHash, isAllowed: true }],
          });
          const { generations: found, verdict } = await readBootRules(reader(), { kms, bootInfo: bootInfo(appId) });
          expect([found, verdict.isAllowed]).to.deep.equal([{ kms: expected, app: expected }, true]);
        });
      }

      for (const [oddity, id] of [
        ["reverts", "first"],
        ["burnsAllGas", "first"],
        ["answersTwo", "unknown"],
        ["answersOneByte", "unknown"],
        ["saysYesToAll", "unknown"],
        ["saysNoToAll", "unknown"],
        ["failsForEpochs", "unknown"],
      ] as const satisfies readonly (readonly [keyof typeof oddities, GenerationId])[]) {
        it(`is ${id} for an app that ${oddity}, and its lists are still read`, async () => {
          const { appId, composeHash, deviceId } = dstack;
          const before = await readAllowlist(reader(), { appId, composeHash, deviceId });
          await upgrade(appId, "OddInterfaceApp", [oddities[oddity]]);
          const after = await readAllowlist(reader(), { appId, composeHash, deviceId });
          expect(after).to.deep.equal({
            ...before,
            blockNumber: after.blockNumber,
            generation: generations[id],
          });
        });
      }

      it("is the first for an app without supportsInterface, with the releases that match its views", async () => {
        const appId = parseAppId("01".repeat(20));
        const address: Hex = `0x${"00".repeat(12)}${"ab".repeat(20)}`;
        const old = { "owner()": address, "allowAnyDevice()": yes };
        for (const [views, releases] of [
          [{ ...old, "appId()": address }, "0.4.2 to 0.5.3"],
          [old, "0.5.4 to 0.5.8"],
          [{ ...old, "requireTcbUpToDate()": yes }, "0.5.9 to 0.5.16"],
          [{ ...old, "requireTcbUpToDate()": yes, "pendingOwner()": address }, "0.6.0"],
        ] as const) {
          await connection.networkHelpers.setCode(appId, answeringCode(views));
          const { generation } = await readAppSettings(reader(), { appId });
          expect(generation).to.include({ id: "first", releases });
        }
      });

      for (const [layout, releases] of [
        ["DstackAppV054", "0.5.4 to 0.5.8"],
        ["DstackAppV059", "0.5.9 to 0.5.16"],
        ["DstackApp", "0.6.0"],
      ] as const) {
        it(`is the first of ${layout}, ${releases}`, async () => {
          const { address } = await connection.viem.deployContract(layout);
          const { generation } = await readAppSettings(reader(), { appId: parseAppId(address) });
          expect(generation).to.include({ id: "first", releases });
        });
      }

      for (const [layout, releases] of [
        ["DstackKmsV054", "up to 0.5.16"],
        ["DstackKmsV059", "up to 0.5.16"],
        ["DstackKms", "0.6.0"],
      ] as const) {
        it(`is the first of ${layout}, ${releases}`, async () => {
          const { address: kms } = await connection.viem.deployContract(layout);
          expect((await readKmsStatus(reader(), { kms })).generation).to.include({ id: "first", releases });
        });
      }

      it("is an error when there is no contract", async () => {
        const absent = parseAppId("ab".repeat(20));
        expect(await rejection(readGeneration(reader(), { address: absent }))).to.be.instanceOf(NoContractError);
      });

      it("is reported for a contract of a later generation without the first one's views", async () => {
        const { address } = await connection.viem.deployContract("EpochsOnly");
        const appId = parseAppId(address);
        expect((await readGeneration(reader(), { address: appId })).id).to.equal("0.6.5");
        const error = await rejection(readAllowlist(reader(), { appId }));
        expect(error).to.be.instanceOf(ContractRevertedError);
        expect(error).to.have.property("message").that.includes("it has release 0.6.5 or 0.6.6");
      });
    });
  }

  it("needs no request of its own with Multicall3", async () => {
    const { appId, composeHash } = dstack;
    const { client, methods } = interceptedClient(connection);
    await readAllowlist(client, { appId, composeHash });
    expect(methods).to.deep.equal(["eth_call"]);
  });

  it("is an error for a contract that reverts every call", async () => {
    const appId = parseAppId("06".repeat(20));
    await connection.networkHelpers.setCode(appId, revertingCode("0x"));
    const { client } = interceptedClient(connection);
    expect(await rejection(readAllowlist(client, { appId }))).to.be.instanceOf(ContractRevertedError);
  });
});
