import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { getTransactionCount } from "viem/actions";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { type RpcRequest, rpcError } from "../../../support/chain/intercepted-client.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { forgetEnd } from "../../../support/ledger/forget-end.ts";
import type { TestServer } from "../../../support/update/http-server.ts";
import { startRpcServer } from "../../../support/update/rpc-server.ts";

interface Done {
  readonly calls: readonly { readonly status: string }[];
  readonly transactions: readonly { readonly isFromRecord: boolean }[];
  readonly error?: { readonly name: string };
}

/** Broadcasts that the endpoint takes before it refuses the rest. */
let left = Number.POSITIVE_INFINITY;

describe("a task that was interrupted", () => {
  let world: World;
  let endpoint: TestServer;
  let hre: HardhatRuntimeEnvironment;
  let directory: string;
  let ledger: string;
  let untouched: string;
  let runs = 0;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    const request = (call: RpcRequest) => world.ownerClient.request(call as never); // any method of the client's
    endpoint = await startRpcServer({ request }, async ({ method }, forward) => {
      if (method === "eth_sendRawTransaction" && left-- <= 0) throw rpcError(-32000, "not today");
      return forward();
    });
    const { kms } = world.contracts;
    hre = await projectOf({ ...world, chain: { id: world.chain.id, rpcUrl: endpoint.url } }, { kms });
    directory = await mkdtemp(join(tmpdir(), "dstack-interrupted-"));
    untouched = await world.snapshot();
  });
  beforeEach(async () => {
    left = Number.POSITIVE_INFINITY;
    ledger = join(directory, `${++runs}.sqlite`);
    await world.restore(untouched);
  });
  after(async () => {
    await endpoint.close();
    await world.close();
    await rm(directory, { recursive: true, force: true });
  });

  const values = ["a1", "a2", "a3"].map((byte) => `0x${byte.repeat(32)}`);
  const [value = ""] = values;
  type Task = readonly [task: readonly string[], args: Readonly<Record<string, unknown>>];
  const addHashes: Task = [["hash", "add"], { hashes: values, batch: "none" }];
  const removeHashes: Task = [["hash", "remove"], { hashes: values, batch: "none" }];
  const addDevices: Task = [["device", "add"], { devices: values, batch: "none" }];
  const removeDevices: Task = [["device", "remove"], { devices: values, batch: "none" }];
  const ofKms = (task: string): Task => [["kms", task], { value }];

  const run = ([task, args]: Task, path = ledger) => {
    const app = task[0] === "kms" ? {} : { app: world.cvms.onChain?.appId };
    return runTask(hre, task, { ...app, json: true, yes: true, ledger: path, ...args });
  };
  const count = () => getTransactionCount(world.ownerClient, { address: world.owner.address });
  async function prepare(task: Task | undefined): Promise<void> {
    if (task === undefined) return;
    const { exitCode, stdout } = await run(task, join(directory, `${runs}-before.sqlite`));
    expect(exitCode, stdout).to.equal(0);
  }

  for (const [name, task, before] of [
    ["hash add", addHashes, undefined],
    ["hash remove", removeHashes, addHashes],
    ["device add", addDevices, undefined],
    ["device remove", removeDevices, addDevices],
  ] as const)
    it(`D1: sends the rest when it is run again, after the endpoint refused a broadcast: ${name}`, async () => {
      await prepare(before);
      const nonce = await count();
      left = 1;
      const refused = await run(task);
      expect(refused.exitCode, refused.stdout).to.equal(3);
      expect(await count()).to.equal(nonce + 1);
      left = Number.POSITIVE_INFINITY;
      const again = await run(task);
      expect(again.exitCode, again.stdout).to.equal(0);
      expect(again.json<Done>().calls.map(({ status }) => status)).to.deep.equal(["done", "done", "done"]);
      expect(await count()).to.equal(nonce + 3);
    });

  for (const [name, task, before, other] of [
    ["hash add", addHashes, undefined, addDevices],
    ["hash remove", removeHashes, addHashes, addDevices],
    ["device add", addDevices, undefined, addHashes],
    ["device allow-any", [["device", "allow-any"], { state: "on" }], undefined, addHashes],
    ["kms add-device", ofKms("add-device"), undefined, addHashes],
    ["kms remove-os-image", ofKms("remove-os-image"), ofKms("add-os-image"), addHashes],
    ["owner transfer", [["owner", "transfer"], { address: devAccount(7).address }], undefined, addHashes],
  ] as const satisfies readonly (readonly [string, Task, Task | undefined, Task])[])
    it(`R1: is done when it is run again, and no other task reports it, after it was killed: ${name}`, async () => {
      await prepare(before);
      expect((await run(task)).exitCode).to.equal(0);
      forgetEnd(ledger);
      const nonce = await count();
      const again = await run(task);
      expect(again.exitCode, again.stdout).to.equal(0);
      const { calls, transactions } = again.json<Done>();
      expect(calls.every(({ status }) => status === "done")).to.equal(true);
      expect(transactions.every(({ isFromRecord }) => isFromRecord)).to.equal(true);
      expect(await count()).to.equal(nonce);
      using found = openLedger(ledger);
      expect(found.batches({ isOpen: true })).to.deep.equal([]);
      const later = (await run(other)).json<Done>();
      expect(later.transactions.map(({ isFromRecord }) => isFromRecord)).to.not.include(true);
    });
});
