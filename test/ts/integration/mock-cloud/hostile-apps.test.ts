import { expect } from "chai";
import { network } from "hardhat";
import { type Hex, numberToHex, stringToHex } from "viem";
import { writeContract } from "viem/actions";
import { dstackKmsAbi } from "../../../../src/generated/abi.ts";
import { type CloudWorld, dockerCompose, request, startCloudWorld } from "../../../support/mock-cloud/cloud-world.ts";
import { type FaultyRpc, faultyRpc } from "../../../support/mock-cloud/faulty-rpc.ts";

// Any account may register any contract as an app. The gate must reach a verdict for each, and then stop.
describe("the boot gate before hostile apps", () => {
  let world: CloudWorld;
  let rpc: FaultyRpc;

  before(async () => {
    const connection = await network.create("local");
    rpc = faultyRpc(connection.provider);
    world = await startCloudWorld(connection, { rpc: rpc.transport });
  });
  after(() => world.cloud.close());

  async function bootOf(name: string, appId: Hex) {
    const { client, owner, kms } = world.dstack;
    const contract = { address: kms, abi: dstackKmsAbi, account: owner, chain: client.chain } as const;
    await writeContract(client, { ...contract, functionName: "registerApp", args: [appId] });
    const compose_file = { docker_compose_file: dockerCompose, name };
    const planned = await request(world.cloud, "POST", "/cvms/provision", {
      body: { name, compose_file, kms: "BASE" },
    });
    const { compose_hash } = planned.body;
    const created = await request(world.cloud, "POST", "/cvms", { body: { app_id: appId, compose_hash } });
    expect(created.status, created.text).to.equal(200);
    await world.cloud.whenIdle();
    return (await request(world.cloud, "GET", `/cvms/${created.body.id}/state`)).body;
  }

  it("accepts an app that lets everything boot, as its owner decides", async () => {
    const { address } = await world.dstack.connection.viem.deployContract("LyingApp", ["any reason"]);
    expect(await bootOf("lying-app", address)).to.include({ status: "running" });
  });

  it("reads a revert of the app as a refusal, with its reason", async () => {
    const reason: Hex = `0x08c379a0${numberToHex(32, { size: 32 }).slice(2)}${numberToHex(4, { size: 32 }).slice(2)}${stringToHex("nope", { size: 32 }).slice(2)}`;
    const { address } = await world.dstack.connection.viem.deployContract("RawAnsweringApp", [reason, true]);
    const state = await bootOf("reverting-app", address);
    expect(state).to.include({ status: "error" });
    expect(state.boot_error).to.include("nope");
  });

  for (const [name, contract, args] of [
    ["answers nothing", "RawAnsweringApp", ["0x", false]],
    ["answers with invalid data", "RawAnsweringApp", ["0x01", false]],
    ["reverts with nothing", "RawAnsweringApp", ["0x", true]],
    ["burns all gas", "GasBurningApp", []],
    ["writes during the call", "WritingApp", []],
    ["answers with more data than the gas can pay for", "FloodingApp", [2n ** 40n]],
  ] as const) {
    it(`refuses an app that ${name}`, async () => {
      const { address } = await world.dstack.connection.viem.deployContract(contract, args as never);
      const state = await bootOf(`app-${contract}-${name.length}`, address);
      expect(state).to.include({ status: "error" });
      expect(state.boot_error).to.include("gave no verdict");
    });
  }

  it("reports a refusal without a reason", async () => {
    const { address } = await world.dstack.connection.viem.deployContract("FloodingApp", [1_000_000n]);
    const state = await bootOf("speechless-app", address);
    expect(state).to.include({ status: "error", boot_error: "The boot policy refused without a reason" });
  });

  // The messages of nodes other than the in-process one.
  for (const message of ["out of gas", "invalid opcode: INVALID", "VM execution error: Bad instruction fe"]) {
    it(`refuses an app whose call ends with "${message}"`, async () => {
      rpc.setFault((method, params) =>
        method === "eth_call" && JSON.stringify(params).toLowerCase().includes(world.dstack.kms.slice(2).toLowerCase())
          ? Promise.reject(Object.assign(new Error(message), { code: -32000 }))
          : undefined,
      );
      const { address } = await world.dstack.connection.viem.deployContract("LyingApp", [message]);
      const state = await bootOf(`app-${message.length}-burns`, address);
      rpc.setFault(undefined);
      expect(state).to.include({ status: "error" });
      expect(state.boot_error).to.include(message);
    });
  }
});
