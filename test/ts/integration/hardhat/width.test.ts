import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { TaskDefinitionType } from "hardhat/types/tasks";
import dstack from "../../../../src/hardhat/index.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { deployTimelock } from "../../../support/chain/deploy-owner-contracts.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";

const columns = 80;
const hashes = ["1e", "2e", "3e"].map((byte) => `0x${byte.repeat(32)}`);

/** Whether nothing of a line can stand on the next one: it is a label and a value without spaces, or a command line. */
function isOneValue(line: string): boolean {
  return /^ *(?:\S+(?: \S+)* {2,}|[✓·!] .{22} )?(?:\S+|npx hardhat .+)$/.test(line);
}

describe("the output of the tasks for people", () => {
  let world: World;
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "dstack-width-"));
    world = await startWorld();
  });
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true });
  });

  it(`has ${columns} columns, except for a value to copy`, async () => {
    const cvm = "onchain-app";
    const compose = join(directory, "docker-compose.yml");
    await writeFile(compose, "services:\n  web:\n    image: nginx:1.29\n");
    const { kms } = world.contracts;
    const [first, second, third] = hashes;
    const value = `0x${"4e".repeat(32)}`;
    const timelock = await deployTimelock(world.ownerClient, devAccount(0), 172_800n);
    const [file, accept, update] = ["plan", "accept", "update"].map((name) => join(directory, `${name}.json`));
    const app = world.cvms.onChain?.appId;
    const environment = join(directory, ".env");
    await writeFile(environment, "TOKEN=hello\n");
    const onKms = { value, kms, yes: true };
    const runs: readonly (readonly [task: string, args: Record<string, unknown>])[] = [
      ["rehearse update", { app, compose }],
      ["rehearse prune", { app, keep: "0" }],
      ["rehearse owner-transfer", { app, address: devAccount(7).address }],
      ["rehearse app-upgrade", { app, implementation: world.contracts.appImplementation }],
      ["rehearse plan", { file }],
      ["update", { cvm, compose, wait: true }],
      ["hash", { cvm, file: compose }],
      ["hash", { cvm, file: compose, hash: first }],
      ["hash add", { cvm, hashes: [first, second, third], yes: true, batch: "none" }],
      ["hash add", { cvm, hashes: [first], yes: true }],
      ["hash revoke", { cvm, hashes: [second], yes: true }],
      ["hash remove", { cvm, hashes: [third], yes: true }],
      ["device add", { cvm, devices: ["node-2"], yes: true }],
      ["device remove", { cvm, devices: ["node-2"], yes: true }],
      ["device remove", { cvm, devices: ["node-1"], yes: true }],
      ["device allow-any", { cvm, state: "on", yes: true }],
      ["device list", { cvm }],
      ["status", { cvm }],
      ["status", { cvm: "no-such-cvm" }],
      ["history", { cvm }],
      ["history", { cvm, at: "today" }],
      ["history", { cvm, prove: true, at: `${await latestBlock()}` }],
      ["boot-check", { cvm, hash: first }],
      ["prune", { cvm, keep: "0", dryRun: true }],
      ["prune", { cvm, keep: "0", yes: true, batch: "none" }],
      ["owner show", { cvm }],
      ["owner transfer", { cvm, address: devAccount(1).address, yes: true }],
      ["owner accept", { cvm, yes: true }],
      ["app deploy", { kms, hash: first, device: "node-1", allowAnyDevice: true, yes: true }],
      ["kms show", { kms, osImage: first, device: first }],
      ["kms add-os-image", onKms],
      ["kms remove-os-image", onKms],
      ["kms add-device", onKms],
      ["kms remove-device", onKms],
      ["kms add-measurement", onKms],
      ["kms remove-measurement", onKms],
      ["kms set-app-implementation", { ...onKms, value: world.contracts.appImplementation }],
      ["app upgrade", { cvm, implementation: world.contracts.appImplementation, yes: true }],
      ["hash add", { cvm, hashes: [third], plan: file }],
      ["plan show", { file }],
      ["plan check", { file }],
      ["plan apply", { file, yes: true }],
      ["plan check", { file }],
      ["update", { app, compose, envFile: environment, prepare: true, plan: update }],
      ["update", { commit: true, plan: update }],
      ["plan apply", { file: update, yes: true }],
      ["update", { commit: true, plan: update, wait: true }],
      ["update", { commit: true, plan: update }],
      ["owner transfer", { cvm, address: timelock, yes: true }],
      ["owner accept", { cvm, plan: accept }],
      ["timelock run", { file: accept, yes: true }],
      ["timelock status", { file: accept }],
      ["timelock status", { cvm }],
      ["timelock execute", { file: accept, yes: true }],
      ["timelock cancel", { file: accept, yes: true }],
      ["timelock schedule", { file: accept, yes: true }],
      ...["safe propose", "safe sign", "safe execute", "safe verify", "safe list"].map(
        (task) => [task, { file: accept }] as const,
      ),
      ["batch undo-delegation", { yes: true }],
      ["tx list", {}],
      ["tx show", { transaction: "1" }],
      ["tx replace", { transaction: "1", yes: true }],
      ["tx cancel", { transaction: "1", yes: true }],
      ["up", { chainPort: "none" }],
    ];
    const hre = await projectOf(world, { kms });
    const broad: string[] = [];
    for (const [task, args] of runs) {
      const { options } = tasks.find(({ id }) => id.slice(1).join(" ") === task) ?? {};
      const ledger = options !== undefined && "ledger" in options ? { ledger: join(directory, "ledger.sqlite") } : {};
      const { stdout, stderr } = await runTask(hre, task.split(" "), { ...ledger, ...args }, { columns });
      if (process.env.SHOW) process.stderr.write(`\n#### ${task}\n${stdout}${stderr}`);
      for (const line of `${stdout}${stderr}`.split("\n"))
        if (line.length > columns && !isOneValue(line)) broad.push(`${task}: ${line}`);
    }
    expect(broad).to.deep.equal([]);
    const ran = new Set(runs.map(([task]) => task));
    const names = tasks.map(({ id }) => id.slice(1).join(" "));
    expect(
      names.filter((name) => !ran.has(name)),
      "tasks that were not run",
    ).to.deep.equal([]);
  });

  const tasks = (dstack.tasks ?? []).flatMap((definition) =>
    definition.type === TaskDefinitionType.NEW_TASK ? [definition] : [],
  );
  const latestBlock = () => world.ownerClient.request({ method: "eth_blockNumber" }).then(BigInt);
});
