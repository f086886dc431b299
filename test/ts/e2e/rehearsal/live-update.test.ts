import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import type { OwnerEvent } from "../../../../src/core/owner-events.ts";
import { formatAdoptedCvms } from "../../../../src/world/adopted-cvms.ts";
import { readAdoptedCvms } from "../../../../src/world/read-adopted-cvms.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { composeOf } from "../../../support/upstream/build-cloud.ts";
import { Operators } from "../../../support/upstream/operators.ts";
import { startUpstream, type Upstream } from "../../../support/upstream/start-upstream.ts";

interface Step {
  readonly kind: string;
  readonly isLive?: boolean;
  readonly liveGas?: string;
  readonly events?: readonly OwnerEvent[];
}

interface Report {
  readonly verdict: string;
  readonly chain: { readonly blockNumber: string };
  readonly phases: readonly { readonly execution: { readonly steps: readonly Step[] } }[];
  readonly updates: readonly { readonly id: string; readonly wanted: string; readonly runs: string }[];
}

const gone = {
  chain: { id: 8453, rpcUrl: "http://127.0.0.1:1" },
  cloud: { baseUrl: "http://127.0.0.1:1" },
  apiKey: "",
};

describe("an update that is rehearsed, made live by a Safe, and rehearsed again without the chain", () => {
  let directory: string;
  let upstream: Upstream;
  let operators: Operators;
  let rehearsed: Report;
  let files: { readonly compose: string; readonly recording: string; readonly cvms: string };

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "dstack-live-update-"));
    const inFolder = (name: string) => join(directory, name);
    files = { compose: inFolder("compose.yml"), recording: inFolder("rpc.jsonl"), cvms: inFolder("cvms.json") };
    upstream = await startUpstream();
    operators = await Operators.open(upstream);
    await writeFile(files.compose, composeOf("1.30"));
    const { appId } = upstream.apps["of-safe"];
    await writeFile(files.cvms, formatAdoptedCvms(await readAdoptedCvms(upstream.cloudClient, { appIds: [appId] })));
    const args = { rpc: upstream.forkUrl, record: files.recording };
    rehearsed = await rehearse(await projectOf(upstream, { ownerKey: "" }), args);
  });
  after(async () => {
    await operators?.close();
    await upstream?.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function rehearse(project: HardhatRuntimeEnvironment, args: Record<string, unknown>): Promise<Report> {
    const { cvms, compose } = files;
    const { appId } = upstream.apps["of-safe"];
    const { stdout, stderr, exitCode, json } = await runTask(project, ["rehearse", "update"], {
      ...{ app: appId, compose, cvms, json: true },
      ...args,
    });
    expect(exitCode, stdout + stderr).to.equal(0);
    return json<Report>();
  }

  function liveSteps({ phases }: Report) {
    return phases.flatMap(({ execution }) => execution.steps.filter(({ isLive }) => isLive));
  }

  it("has the events, the gas and the result of the rehearsal", async () => {
    const { apps, chain, cloudClient } = upstream;
    const { appId, cvms } = apps["of-safe"];
    const [plan, ledger] = [join(directory, "plan.json"), join(directory, "ledger.sqlite")];
    const before = await chain.client.getBlockNumber({ cacheTime: 0 });
    await operators.run("stranger", "update", { app: appId, compose: files.compose, prepare: true, plan, ledger });
    await operators.execute("safe", plan);
    const live = await operators.transactionsSince(before, [{ contract: "app", address: appId }]);
    await operators.run("stranger", "update", { commit: true, plan, ledger, wait: true });

    const steps = liveSteps(rehearsed);
    expect(steps.map(({ events }) => events)).to.deep.equal(live.map(({ events }) => events));
    expect(steps).to.have.lengthOf(1);
    for (const [index, { gasUsed }] of live.entries())
      expect(Number(steps[index]?.liveGas)).to.be.closeTo(Number(gasUsed), 0.02 * Number(gasUsed));
    const [updated] = await getAppCvms(cloudClient, { appId });
    expect(rehearsed.updates).to.deep.equal([
      { id: cvms[0]?.id, name: "app-of-safe", wanted: updated?.composeHash, runs: updated?.composeHash },
    ]);
    expect(updated).to.include({ status: "running" });
    expect(updated?.composeHash).to.not.equal(cvms[0]?.composeHash);
  });

  it("is rehearsed again from its recording and a file of CVMs, with the chain and the cloud gone", async () => {
    await upstream.stopChain();
    const again = await rehearse(await projectOf(gone, { ownerKey: "" }), { offline: files.recording });
    expect(again.verdict).to.equal("go");
    expect(again.chain.blockNumber).to.equal(rehearsed.chain.blockNumber);
    const told = (report: Report) => liveSteps(report).map(({ events, liveGas }) => ({ events, liveGas }));
    expect(told(again)).to.deep.equal(told(rehearsed));
    expect(again.updates).to.deep.equal(rehearsed.updates);
  });
});
