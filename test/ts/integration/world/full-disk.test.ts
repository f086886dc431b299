import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "chai";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { LedgerError } from "../../../../src/errors/index.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

/** No file of this process may grow beyond so many bytes: writes fail as on a full disk. */
function limitFiles(bytes: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:`]);
}

// Such a write also raises SIGXFSZ. Node ignores it, but signal-exit, which other tests load, ends the process unless
// there is another listener. It stays, because removing the last one would restore the signal's default.
process.on("SIGXFSZ", () => {});

async function withFullDisk<Result>(work: () => Promise<Result>): Promise<Result> {
  limitFiles(1);
  try {
    return await work();
  } finally {
    limitFiles("unlimited");
  }
}

// R6
describe("a full disk", () => {
  const directory = useTemporaryDirectory();

  async function request(world: World, method: string, path: string) {
    const headers = { "x-api-key": world.apiKey };
    const response = await fetch(`${world.cloud.baseUrl}${path}`, { method, headers });
    return { status: response.status, body: await response.text() };
  }

  async function statusOf(world: World): Promise<string> {
    const { body } = await request(world, "GET", `/cvms/${world.cvms.onChain?.id}`);
    return (JSON.parse(body) as { readonly status: string }).status;
  }

  async function until(world: World, status: string): Promise<void> {
    for (let tries = 0; (await statusOf(world)) !== status; tries++) {
      if (tries > 100) throw new Error(`not ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  it("ends no world: it says so, and goes on after space is freed, also after a restart", async () => {
    const stateFile = join(directory.path, "world.db");
    let world = await startWorld({ stateFile, cloud: { rolloverMs: 300 } });
    const { address } = devAccount(1);
    const send = () =>
      world.chain.client.request({ method: "hardhat_setBalance" as never, params: [address, "0x5"] as never });
    try {
      const stop = `/cvms/${world.cvms.onChain?.id}/stop`;
      expect(await request(world, "POST", stop))
        .to.have.property("status")
        .that.is.below(300);
      await withFullDisk(async () => {
        // Its operation ends meanwhile, and cannot be written.
        await new Promise((resolve) => setTimeout(resolve, 600));
        const refused = await request(world, "POST", `/cvms/${world.cvms.offChain?.id}/stop`);
        expect(refused.status).to.equal(507);
        expect(refused.body).to.include("is full or cannot be written. Nothing was changed. Free some space");
        for (const error of [await rejection(send()), await rejection(send())])
          expect(String(error)).to.include("world.db.world cannot be used: it would be larger than");
      });
      await until(world, "stopped");
      expect((await request(world, "POST", `/cvms/${world.cvms.offChain?.id}/stop`)).status).to.be.below(300);
      await send();
      const head = await world.chain.client.getBlock();
      await world.close();
      world = await startWorld({ stateFile, cloud: { rolloverMs: 0 } });
      expect((await world.chain.client.getBlock()).hash).to.equal(head.hash);
      expect(await world.chain.client.getBalance({ address })).to.equal(5n);
    } finally {
      await world.close();
    }
  }).timeout(60_000);

  it("is told by a task in one sentence, before anything is paid, and the task goes on afterwards", async () => {
    const world = await startWorld();
    try {
      const hre = await projectOf(world);
      const ledger = join(directory.path, "ledger.sqlite");
      const args = { app: world.cvms.onChain?.appId, hashes: ["c4".repeat(32)], yes: true, ledger };
      const blocks = await world.chain.client.getBlockNumber();
      const full = await withFullDisk(() => runTask(hre, ["hash", "add"], args));
      expect(full.exitCode).to.equal(3);
      expect(full.stderr).to.match(/^DSTK-\d{4} .*ledger\.sqlite.* the disk is full or fails\.\n.*Free some space/m);
      expect(full.stderr).to.not.match(/^\s+at |E[A-Z]{3,}:/m);
      expect(await world.chain.client.getBlockNumber({ cacheTime: 0 })).to.equal(blocks);
      const done = await runTask(hre, ["hash", "add"], args);
      expect(done.exitCode, done.stderr).to.equal(0);
    } finally {
      await world.close();
    }
  }).timeout(60_000);

  it("leaves a ledger that has records as it is", async () => {
    const path = join(directory.path, "ledger.sqlite");
    openLedger(path).close();
    await withFullDisk(async () => {
      const error = await rejection(
        (async () => openLedger(path).writeNote("update", "cvm", { big: "x".repeat(9_000) }))(),
      );
      expect(error).to.be.instanceOf(LedgerError);
      expect(error).to.include({ problem: "full" });
    });
    using ledger = openLedger(path);
    expect([...ledger.readNotes("update")]).to.deep.equal([]);
  });
});
