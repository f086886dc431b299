import { join } from "node:path";
import { expect } from "chai";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { deployTimelock } from "../../../support/chain/deploy-owner-contracts.ts";
import {
  createGovernedApp,
  type GovernedApp,
  pruneWhatIsLeft,
  updateEveryCvm,
  upgradeCode,
} from "../../../support/governance/carry-plan.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const twoDays = 2 * 24 * 60 * 60;

describe("an app of a timelock with two days' delay, from plan to rollover", () => {
  const directory = useTemporaryDirectory();
  let world: World;
  let app: GovernedApp;
  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
  });
  after(() => world?.close());

  /** Schedules, waits two days and executes. */
  async function execute(file: string): Promise<void> {
    const { run } = app;
    const ledger = `${file}.sqlite`;
    await run(0, "timelock schedule", { file, ledger, yes: true, store: ":memory:" });
    const early = await run(0, "timelock execute", { file, ledger, yes: true, store: ":memory:" }, 3);
    expect(early.json<{ error: { nextStep: string } }>().error.nextStep).to.include("Nothing was sent.");
    await world.advance(twoDays + 60);
    await run(0, "timelock execute", { file, ledger, yes: true, store: ":memory:" });
    await run(0, "plan check", { file }, 6);
  }

  it("moves to the timelock, updates three CVMs, removes the old hash, and upgrades", async () => {
    app = await createGovernedApp(world, directory.path);
    const timelock = await deployTimelock(world.ownerClient, devAccount(0), BigInt(twoDays));
    const { appId, run } = app;
    const ledger = join(directory.path, "owner.sqlite");
    await run(0, "owner transfer", { app: appId, address: timelock, ledger, yes: true });
    const accept = join(directory.path, "accept.json");
    await run(0, "owner accept", { app: appId, plan: accept, ledger });
    await execute(accept);
    await updateEveryCvm(app, execute);
    await pruneWhatIsLeft(app, execute);
    await upgradeCode(app, execute);
  });
});
