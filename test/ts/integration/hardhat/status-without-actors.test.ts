import { expect } from "chai";
import hre from "hardhat";
import { type Abi, type Address, encodeFunctionData, getAddress, type Hex, zeroHash } from "viem";
import { deployContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { rewriteRpc } from "../../../support/world/rewriting-rpc.ts";

const composeHash: Hex = `0x${"1e".repeat(32)}`;
const deviceId: Hex = `0x${"de".repeat(32)}`;

describe("tasks on a contract without PolicyChanged, whose events name no actor", () => {
  let world: World;
  let app: Address;

  const run = async (task: readonly string[], args: Record<string, unknown> = {}, rpcUrl = world.chain.rpcUrl) => {
    const networks = { world: { type: "http" as const, url: rpcUrl } };
    const project = await projectOf(world, {}, { networks });
    return runTask(project, task, { app, store: ":memory:", ...args });
  };

  before(async () => {
    world = await startWorld();
    const { ownerClient, owner } = world;
    const deploy = async (name: string, args: readonly unknown[]) => {
      const { abi, bytecode } = await hre.artifacts.readArtifact(name);
      const hash = await deployContract(ownerClient, {
        abi: abi as Abi, // of any contract
        bytecode: bytecode as Hex, // Hardhat's are hex
        args,
        account: owner,
        chain: ownerClient.chain,
      });
      const { contractAddress } = await waitForTransactionReceipt(ownerClient, { hash });
      return { address: getAddress(contractAddress ?? "0x"), abi: abi as Abi }; // of any contract
    };
    const { address, abi } = await deploy("DstackAppV054", []);
    const initialize = { abi, functionName: "initialize", args: [owner.address, false, false, deviceId, zeroHash] };
    app = (await deploy("ERC1967Proxy", [address, encodeFunctionData(initialize)])).address;
    const call = { address: app, abi, functionName: "addComposeHash", args: [composeHash] };
    const hash = await writeContract(ownerClient, { ...call, account: owner, chain: ownerClient.chain });
    await waitForTransactionReceipt(ownerClient, { hash });
  });
  after(() => world?.close());

  it("name the sender as the sender in status and device list", async () => {
    const sender = devAccount(0).address;
    const status = await run(["status"]);
    expect(status.exitCode, status.stderr).to.equal(0);
    expect(status.stdout).to.match(new RegExp(`${composeHash}\\n.+sent by ${sender}\\n`));
    expect(status.stdout).to.match(new RegExp(`${deviceId}\\n.+sent by ${sender}\\n`));
    const { composeHashes } = (await run(["status"], { json: true })).json<{ composeHashes: object[] }>();
    expect(composeHashes).to.have.nested.property("[0].isRecorded", false);
    const row = new RegExp(
      `${deviceId} +listed +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d +${sender} \\(transaction sender\\)`,
    );
    expect((await run(["device", "list"])).stdout).to.match(row);
  });

  it("continue when the node no longer has the transactions", async () => {
    const rpc = await rewriteRpc(world.chain.rpcUrl, (method, result) =>
      method === "eth_getTransactionByHash" ? null : result,
    );
    const status = await run(["status"], {}, rpc.url);
    expect(status.exitCode, status.stderr).to.equal(0);
    expect(status.stdout).to.match(
      new RegExp(`${composeHash}\\n.+sender unknown: the node no longer has the transaction\\n`),
    );
    expect((await run(["device", "list"], {}, rpc.url)).exitCode).to.equal(0);
    expect((await run(["history"], {}, rpc.url)).stdout).to.include(composeHash);
    await rpc.close();
  });

  it("show in the history that an actor was not recorded, and who sent the transaction", async () => {
    const { stdout, exitCode } = await run(["history"], { csv: true });
    const added = stdout
      .split("\n")
      .find((line) => line.includes(composeHash))
      ?.split(",");
    expect([exitCode, added?.slice(2, 6)]).to.deep.equal([
      0,
      ["composeHashAdded", composeHash, "", devAccount(0).address],
    ]);
    const block = added?.[0] ?? "";
    const before = await run(["history"], { at: `${Number(block) - 1}` });
    expect(before.stdout).to.include("Compose hashes: 0\n").and.to.include("Devices: 1\n");
    expect((await run(["history"], { at: block })).stdout).to.include("Compose hashes: 1\n");
  });

  it("prove the list, and name the claim that is not proven without a proof", async () => {
    const proven = await run(["history"], { prove: true });
    expect(proven.exitCode, proven.stdout).to.equal(0);
    expect(proven.stdout).to.match(/nothingElse +proven\n +Trusted without proof: .+ 0x[0-9a-f]{64}\n/);

    const rpc = await rewriteRpc(world.chain.rpcUrl, (method, result) => (method === "eth_getProof" ? null : result));
    const told = await run(["history"], { prove: true }, rpc.url);
    expect(told.exitCode).to.equal(6);
    expect(told.stdout)
      .to.match(/nothingElse +NOT PROVEN: \S.+\n/)
      .and.to.not.include("Trusted without proof");
    await rpc.close();
  });
});
