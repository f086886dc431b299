import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { root } from "../../../../scripts/support/paths.ts";
import type { ReasonKind } from "../../../../src/rehearsal/report.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";
import { composeOf } from "../../../support/upstream/build-cloud.ts";
import { type AppName, hashOf, nodes } from "../../../support/upstream/cases.ts";
import { Operators } from "../../../support/upstream/operators.ts";
import { startUpstream, type Upstream } from "../../../support/upstream/start-upstream.ts";

interface Report {
  readonly verdict: "go" | "no-go";
  readonly reasons: readonly { readonly kind: ReasonKind; readonly message: string }[];
}

type Arguments = Record<string, unknown>;

/** A rehearsal of one app, and why it must be a no-go. Without `because` it must be a go. */
interface Case {
  readonly app: AppName;
  readonly task: "update" | "prune" | "owner-transfer" | "app-upgrade" | "plan";
  /** What is special about it, for the title. */
  readonly what?: string;
  readonly args?: Arguments | ((upstream: Upstream) => Arguments);
  /** The task that writes the plan, with its arguments. */
  readonly plan?: readonly [task: string, args: (upstream: Upstream) => Arguments];
  readonly because?: readonly [kind: ReasonKind, message: RegExp];
}

const toNewCode = { contract: "DstackApp" };
const cases: readonly Case[] = [
  { app: "one-step", task: "prune", args: { keep: "40", batch: "auto:delegate" } },
  { app: "two-step", task: "owner-transfer", what: "to a Safe", args: ({ owners }) => ({ address: owners.safe }) },
  { app: "layout-054", task: "app-upgrade", args: toNewCode },
  { app: "layout-042", task: "update" },
  { app: "of-safe", task: "update" },
  { app: "of-timelock", task: "prune", args: { keep: "0" } },
  {
    ...{ app: "of-timelock-of-safe", task: "plan", what: "of a new hash" },
    plan: ["hash add", () => ({ hashes: [hashOf("a new release")] })],
  },
  {
    ...{ app: "layout-042", task: "app-upgrade", args: toNewCode },
    because: ["refused", /Data would be lost/],
  },
  {
    ...{ app: "frozen", task: "app-upgrade", args: toNewCode },
    because: ["refused", /Upgrades are permanently disabled/],
  },
  { app: "frozen", task: "update", because: ["update-failed", /OS image is not allowed/] },
  {
    ...{ app: "one-step", task: "owner-transfer", what: "to a contract that calls no other one" },
    args: ({ owners }) => ({ address: owners.mute }),
    because: ["refused", /no instruction that calls another contract/],
  },
  {
    ...{ app: "stranded", task: "update" },
    because: ["failed", /no instruction that calls another contract/],
  },
  { app: "epochs", task: "update", because: ["refused", /approves per key epoch/] },
  {
    ...{ app: "of-safe", task: "plan", what: "that removes the hash in use" },
    plan: [
      "hash remove",
      ({ apps }) => ({ hashes: apps["of-safe"].cvms.map(({ composeHash }) => composeHash), accept: "in-use" }),
    ],
    because: ["boot-lost", /could boot before the change, and cannot after it: Compose hash not allowed/],
  },
  {
    ...{ app: "one-step", task: "plan", what: "that removes the device of its second CVM" },
    plan: ["device remove", () => ({ devices: [nodes[1].deviceId], accept: "in-use" })],
    because: ["boot-lost", /could boot before the change, and cannot after it: Device not allowed/],
  },
];

describe("dstack rehearse, for each app of the upstream", () => {
  const directory = useTemporaryDirectory();
  let upstream: Upstream;
  let operators: Operators;
  /** Of an operator without any key of a chain. */
  let project: HardhatRuntimeEnvironment;
  let untouched: string;

  before(async () => {
    upstream = await startUpstream();
    operators = await Operators.open(upstream);
    const config = { paths: { artifacts: join(root, "artifacts") } };
    project = await projectOf(upstream, { ownerKey: "" }, config);
    untouched = await stateOf();
  });
  afterEach("the upstream is as it was", async () => {
    expect(await stateOf()).to.equal(untouched);
  });
  after(async () => {
    await operators?.close();
    await upstream?.close();
  });

  async function stateOf(): Promise<string> {
    const { cloud, chain, apiKey } = upstream;
    const { hash } = await chain.client.getBlock();
    const answer = await fetch(`${cloud.baseUrl}/apps?page_size=100`, { headers: { "x-api-key": apiKey } });
    return `${hash} ${await answer.text()}`;
  }

  async function rehearse(task: Case["task"], args: Arguments): Promise<Report> {
    const { stdout, stderr, exitCode, json } = await runTask(project, ["rehearse", task], {
      ...{ rpc: upstream.forkUrl, json: true },
      ...args,
    });
    expect(exitCode, stdout + stderr).to.be.oneOf([0, 8]);
    const report = json<Report>();
    expect(exitCode).to.equal(report.verdict === "go" ? 0 : 8);
    return report;
  }

  for (const { app, task, what, args = {}, plan, because } of cases) {
    it(`says ${because === undefined ? "go" : "no-go"}: ${[task, "of", app, what ?? ""].join(" ").trim()}`, async () => {
      const { appId } = upstream.apps[app];
      const file = join(directory.path, "plan.json");
      const compose = join(directory.path, "docker-compose.yml");
      await writeFile(compose, composeOf("1.30"));
      if (plan !== undefined)
        await operators.run("stranger", plan[0], { app: appId, plan: file, ...plan[1](upstream) });
      const { verdict, reasons } = await rehearse(task, {
        ...(task === "plan" ? { file } : { app: appId }),
        ...(task === "update" && { compose, cvm: upstream.apps[app].cvms[0]?.id }),
        ...(typeof args === "function" ? args(upstream) : args),
      });
      if (because === undefined) {
        expect(reasons).to.deep.equal([]);
        expect(verdict).to.equal("go");
        return;
      }
      expect(verdict).to.equal("no-go");
      const [kind, message] = because;
      expect(reasons.map((reason) => reason.kind)).to.include(kind);
      expect(reasons.map((reason) => reason.message).join("\n")).to.match(message);
    });
  }
});
