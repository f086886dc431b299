import { expect } from "chai";
import { network } from "hardhat";
import { custom, type EIP1193RequestFn } from "viem";
import { type AppId, type ComposeHash, parseComposeHash } from "../../../../src/core/ids.ts";
import { addOsImageHashCall } from "../../../../src/core/kms-owner-calls.ts";
import { type RunningMockCloud, startMockCloud } from "../../../../src/mock-cloud/index.ts";
import {
  type BackendVerdict,
  playReceiptCase,
  type ReceiptMoment,
  type ReceiptProvider,
  type ReceiptRequest,
  type ReceiptWorld,
  receiptCases,
  startReceiptWorld,
  testDeviceId,
  testOsImageHash,
} from "../../../../src/testing/index.ts";
import { sendCall } from "../../../../src/testing/receipts/world.ts";
import { apiKey, dockerCompose, request } from "../../../support/mock-cloud/cloud-world.ts";

const platform = {
  workspaces: [{ name: "Test", apiKeys: [{ key: apiKey }] }],
  nodes: [{ id: 1, name: "node-1", deviceId: testDeviceId }],
  osImages: [{ name: "dstack-0.5.7", version: "0.5.7", osImageHash: testOsImageHash }],
};
const nextCompose = "services:\n  app:\n    image: nginx:2\n";

/** The HTTP status of each verdict. A transaction that is not mined yet counts as not verified. */
const statuses: Readonly<Record<BackendVerdict, number>> = {
  accepted: 202,
  waiting: 467,
  "transaction-not-verified": 467,
  "hash-not-allowed": 468,
  malformed: 422,
  unknown: 503,
};

const groups = ["forgeries", "state", "chain", "claims", "endpoints"];
/** About apps, KMSs or chains of which this cloud has no CVM, or about a cloud that waits for finality. */
const excluded =
  /^(other-kms|claimed-chain|zero-hash|implementation-itself|no-contract|anonymous-event|indexed-|data-too-|dynamic-|removal-event|forged-state|destroyed-|any-device|older-release|key-epochs|(already-registered-)?not-.*-yet|final-but-)/;
/** Routes by the app that the case is about. */
const routes = {
  app: ["direct", "caught-failure", "eip-7702-batch", "several-apps", "several-hashes", "registration-of-app"],
  safeApp: ["safe", "safe-multisend", "safe-inner-failure"],
  timelockApp: ["timelock", "timelock-scheduled", "safe-to-timelock"],
  relayApp: ["contract-owner", "rolled-back-inner-call"],
} as const;
type AppName = keyof typeof routes;

const selection = receiptCases.flatMap((receiptCase): [AppName, (typeof receiptCases)[number]][] => {
  const route = Object.entries(routes).find(([, ids]) => ids.some((id) => id === receiptCase.id));
  if (route !== undefined) return [[route[0] as AppName, receiptCase]];
  const isAboutApp = groups.includes(receiptCase.group) && !excluded.test(receiptCase.id);
  return isAboutApp ? [["app", receiptCase]] : [];
});

describe("receipts that lie, through the mock cloud's API", () => {
  let world: ReceiptWorld;
  let cloud: RunningMockCloud;
  /** The endpoint that the cloud reads: that of the moment. */
  let endpoint: ReceiptProvider;
  /** The CVM of each app. Its update waits for the confirmation. */
  const cvms = new Map<AppId, string>();
  /** The cloud as it is before each confirmation. */
  let proposed: string;
  let names = 0;

  before(async () => {
    const other = await startMockCloud({ ...platform, kms: [{ slug: "kms-phala-1" }] });
    const firstHash = await provision(other, "PHALA"); // it depends on the document alone
    await other.close();
    const connection = await network.create({ network: "default", override: { chainId: 8453 } });
    world = await startReceiptWorld(connection, { firstHash });
    endpoint = world.provider;
    await sendCall(world, addOsImageHashCall({ kms: world.kms, osImageHash: testOsImageHash }));
    const request = ((call: ReceiptRequest) => endpoint.request(call)) as EIP1193RequestFn; // same calls, untyped
    const rpc = custom({ request }, { retryCount: 0 });
    cloud = await startMockCloud({
      ...platform,
      kms: [{ slug: "kms-base-1", chainId: 8453, contractAddress: world.kms, rpc }],
      ...{ rolloverMs: 0, bootRetryMs: 10, receiptAttempts: 1, receiptRetryMs: 0 },
    });
    for (const appName of Object.keys(routes) as AppName[]) {
      const appId = world[appName];
      const cvm = await createCvm(appId);
      cvms.set(appId, cvm);
      world = { ...world, composeHash: await propose(cvm) }; // the same for every app
    }
    proposed = await cloud.snapshot();
  });
  after(() => cloud.close());

  async function provision(from: RunningMockCloud, kms: string): Promise<ComposeHash> {
    const compose_file = { name: "", docker_compose_file: dockerCompose, allowed_envs: [] };
    const body = { name: `cvm-${names++}`, compose_file, kms };
    const answer = await request(from, "POST", "/cvms/provision", { body });
    expect(answer.status, answer.text).to.equal(200);
    return parseComposeHash(String(answer.body.compose_hash));
  }

  async function createCvm(appId: AppId): Promise<string> {
    const compose_hash = await provision(cloud, "BASE");
    const body = { app_id: appId, compose_hash, deployer_address: world.owner.address };
    const answer = await request(cloud, "POST", "/cvms", { body });
    expect(answer.status, answer.text).to.equal(200);
    await cloud.whenIdle();
    return String(answer.body.id);
  }

  async function propose(cvm: string): Promise<ComposeHash> {
    const answer = await request(cloud, "PATCH", `/cvms/${cvm}`, { body: { docker_compose_file: nextCompose } });
    expect(answer.status, answer.text).to.equal(465);
    return parseComposeHash(String(answer.body.compose_hash));
  }

  async function confirm({ claim, provider }: ReceiptMoment, cvm: string) {
    endpoint = provider;
    try {
      const body = { compose_hash: claim.composeHash, transaction_hash: claim.transactionHash };
      const answer = await request(cloud, "PATCH", `/cvms/${cvm}`, { body });
      await cloud.whenIdle();
      return answer;
    } finally {
      endpoint = world.provider;
    }
  }

  for (const [app, receiptCase] of selection)
    it(`gets ${receiptCase.moments.map(({ backend }) => statuses[backend]).join(", ")} for ${receiptCase.id}`, async () => {
      const appId = world[app];
      const cvm = cvms.get(appId) ?? "";
      await playReceiptCase(world, receiptCase, async (moment) => {
        const { backend, when } = moment.verdicts;
        expect(moment.claim.appId).to.equal(appId);
        const { status, text, body } = await confirm(moment, cvm);
        expect(status, `${when ?? ""} ${text}`).to.equal(statuses[backend]);
        if (status !== 202) return;
        // The same confirmation again gets the operation that the first one started.
        expect((await confirm(moment, cvm)).body.correlation_id).to.equal(body.correlation_id);
        await cloud.restore(proposed);
      });
    });

  it("are at least 40 of the corpus", () => {
    expect(selection.length).to.be.at.least(40);
  });
});
