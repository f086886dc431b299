import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Address, createPublicClient, getAbiItem, http, type PublicClient } from "viem";
import { base } from "viem/chains";
import { readAppStatus } from "../../../../src/chain/read-app.ts";
import { type AppId, parseAppId } from "../../../../src/core/ids.ts";
import { liveDeploymentOn } from "../../../../src/core/live-deployments.ts";
import { dstackKmsAbi } from "../../../../src/generated/abi.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { hashOf } from "../../../support/upstream/cases.ts";
import { startUpstream, type Upstream } from "../../../support/upstream/start-upstream.ts";

// The same test for the real chain, where this machine has an endpoint.
const realBase = process.env.BASE_RPC_URL;
if (realBase === undefined) console.log("BASE_RPC_URL is not set: no test rehearses on a fork of the real Base.");

/** Of one request for logs. The smallest limit of common endpoints is higher. */
const blocksAtOnce = 2_000n;
const mostRequests = 300;
const enoughApps = 40;
/** On the upstream only some, because other tests rehearse each of its apps. */
const kinds = realBase === undefined ? ["eoa", "safe"] : ["eoa", "safe", "timelock", "contract"];

describe(`apps that the events of a KMS name, on ${realBase === undefined ? "the upstream" : "the real Base"}`, () => {
  let folder: string;
  let upstream: Upstream | undefined;
  let client: PublicClient;
  let kms: Address;
  let project: HardhatRuntimeEnvironment;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "dstack-found-apps-"));
    if (realBase === undefined) upstream = await startUpstream();
    const rpcUrl = realBase ?? upstream?.forkUrl ?? expect.fail("There is no chain.");
    const live = (process.env.DSTACK_KMS as Address | undefined) ?? liveDeploymentOn(base.id)?.kms;
    kms = upstream?.kms.live ?? live ?? expect.fail("There is no KMS.");
    client = createPublicClient({ chain: base, transport: http(rpcUrl) }) as PublicClient; // without Base's formatters
    const noCloud = { cloud: { baseUrl: "http://127.0.0.1:1" }, apiKey: "" };
    project = await projectOf({ chain: { id: base.id, rpcUrl }, ...noCloud }, { ownerKey: "", kms });
  });
  after(async () => {
    await upstream?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The newest app of each kind of owner. */
  async function findApps(): Promise<ReadonlyMap<string, AppId>> {
    const found = new Map<string, AppId>();
    const event = getAbiItem({ abi: dstackKmsAbi, name: "AppRegistered" });
    let toBlock = await client.getBlockNumber();
    for (let request = 0, apps = 0; request < mostRequests && apps < enoughApps; request++) {
      const fromBlock = toBlock > blocksAtOnce ? toBlock - blocksAtOnce : 0n;
      const logs = await client.getLogs({ address: kms, event, fromBlock, toBlock });
      for (const { args } of logs.toReversed()) {
        apps += 1;
        const appId = parseAppId(args.appId ?? "");
        const status = await readAppStatus(client, { appId });
        if (status.kind !== "app" || status.generation.hasKeyEpochs !== false) continue;
        if (!found.has(status.owner.kind)) found.set(status.owner.kind, appId);
      }
      if (fromBlock === 0n) break;
      toBlock = fromBlock - 1n;
    }
    return found;
  }

  it("can be rehearsed for each kind of owner, whose keys are not here", async function () {
    this.timeout(900_000);
    const apps = [...(await findApps())].filter(([kind]) => kinds.includes(kind));
    expect(apps).to.not.deep.equal([]);
    for (const [kind, appId] of apps) {
      const plan = join(folder, `${kind}.json`);
      const added = await runTask(project, ["hash", "add"], { hashes: [hashOf(kind)], app: appId, plan });
      expect(added.exitCode, added.stdout + added.stderr).to.equal(0);
      const run = await runTask(project, ["rehearse", "plan"], { file: plan, json: true });
      const { verdict, reasons } = run.json<{ verdict: string; reasons: { message: string }[] }>();
      // An owner that can never call is a no-go, and a real app may have one.
      const cannotCall = reasons.some(({ message }) => message.includes("owner-cannot-call"));
      if (!cannotCall) expect(verdict, `${kind} of ${appId}: ${run.stdout}`).to.equal("go");
      const toKms = await runTask(project, ["rehearse", "owner-transfer"], { address: kms, app: appId, json: true });
      expect(toKms.exitCode, toKms.stdout + toKms.stderr).to.equal(8);
    }
  });
});
