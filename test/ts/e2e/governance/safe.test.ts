import { expect } from "chai";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import {
  createGovernedApp,
  type GovernedApp,
  pruneWhatIsLeft,
  updateEveryCvm,
  upgradeCode,
} from "../../../support/governance/carry-plan.ts";
import { type SafeService, startSafeService } from "../../../support/safe/service.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("an app of a 2-of-3 Safe, from plan to rollover", () => {
  const directory = useTemporaryDirectory();
  let world: World;
  let service: SafeService;
  let app: GovernedApp;
  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 }, safe: { threshold: 2, owners: 3 } });
    service = await startSafeService({ rpcUrl: world.chain.rpcUrl });
  });
  after(async () => {
    await service?.close();
    await world?.close();
  });

  /** Two owners sign, somebody else pays, and the result is proven. */
  async function execute(file: string): Promise<void> {
    const { run } = app;
    const ledger = `${file}.sqlite`;
    await run(1, "safe propose", { file, yes: true });
    await run(0, "safe list", { app: app.appId });
    const early = await run(4, "safe execute", { file, ledger, yes: true }, 3);
    expect(early.json<{ error: { nextStep: string } }>().error.nextStep).to.include("must sign");
    await run(2, "safe sign", { file, yes: true });
    await run(4, "safe execute", { file, ledger, yes: true });
    await run(4, "safe verify", { file });
    await run(4, "plan check", { file }, 6);
  }

  it("updates three CVMs in one signature round, removes the old hash in another, and upgrades in a third", async () => {
    app = await createGovernedApp(world, directory.path, { safe: { service: service.url } });
    await updateEveryCvm(app, execute);
    await pruneWhatIsLeft(app, execute);
    await upgradeCode(app, execute);
  });
});
