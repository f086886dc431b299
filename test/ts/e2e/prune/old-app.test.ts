import { join } from "node:path";
import { expect } from "chai";
import hre from "hardhat";
import { type Abi, type Hex, parseAbi } from "viem";
import { deployContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import { getCvmState } from "../../../../src/cloud/get-cvm-state.ts";
import type { ComposeHash } from "../../../../src/core/ids.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import {
  allowedNow,
  allowFillers,
  control,
  type PruneWorld,
  startPruneWorld,
} from "../../../support/prune/prune-world.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

/** Gives the app the code of a contract from before PolicyChanged, two-step ownership and the TCB rule. */
async function makeOld({ ownerClient, owner, appId }: PruneWorld): Promise<void> {
  const { chain } = ownerClient;
  const { abi, bytecode } = await hre.artifacts.readArtifact("DstackAppV054");
  const deployed = await deployContract(ownerClient, {
    abi: abi as Abi, // of any contract
    bytecode: bytecode as Hex, // Hardhat's are hex
    account: owner,
    chain,
  });
  const { contractAddress } = await waitForTransactionReceipt(ownerClient, { hash: deployed });
  const upgraded = await writeContract(ownerClient, {
    address: appId,
    abi: parseAbi(["function upgradeToAndCall(address implementation, bytes data)"]),
    functionName: "upgradeToAndCall",
    args: [contractAddress ?? "0x", "0x"],
    account: owner,
    chain,
  });
  await waitForTransactionReceipt(ownerClient, { hash: upgraded });
}

describe("dstack prune, on an app whose contract has no PolicyChanged", () => {
  const directory = useTemporaryDirectory();
  let world: PruneWorld;
  let fillers: readonly ComposeHash[];
  let untouched: string;
  before(async () => {
    world = await startPruneWorld({ cloud: { rolloverMs: 20 } });
    await makeOld(world);
    fillers = await allowFillers(world, 5);
  });
  beforeEach(async () => {
    untouched = await world.snapshot();
  });
  afterEach(() => world.restore(untouched));
  after(() => world.close());

  for (const [batch, transactions] of [
    ["none", 4],
    ["7702", 1],
  ] as const) {
    it(`removes unused hashes, --batch ${batch}, and proves that nothing else was allowed`, async () => {
      const project = await projectOf(world, {}, { paths: { cache: join(directory.path, `cache-${batch}`) } });
      const ledger = join(directory.path, `${batch}.sqlite`);
      const args = { app: world.appId, json: true, yes: true, prove: true, keep: "1", batch, ledger };
      const run = await runTask(project, ["prune"], args);
      expect(run.exitCode, run.stdout + run.stderr).to.equal(0);
      const result = run.json<{ outcome: string; removed: readonly ComposeHash[]; transactions: readonly object[] }>();
      expect(result.outcome).to.equal("removed");
      expect(result.removed).to.have.members(fillers.slice(0, 4));
      expect(result.transactions).to.have.lengthOf(transactions);
      const [first, last] = [world.firstHash, fillers[4]];
      expect(await allowedNow(world, [world.firstHash, ...fillers])).to.have.members([first, last]);

      await control(world, world.cvm, "restart");
      expect(await getCvmState(world.cloudClient, { cvm: world.cvm })).to.include({
        status: "running",
        bootError: undefined,
      });
    });
  }
});
