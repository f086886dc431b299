import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { openLedger } from "../../../../../src/chain/transactions/ledger.ts";
import { createCloudClient } from "../../../../../src/cloud/create-client.ts";
import { InvalidAppComposeError } from "../../../../../src/errors/index.ts";
import { planUpdate } from "../../../../../src/update/plan-update.ts";
import type { UpdateResult } from "../../../../../src/update/run.ts";
import { updateCvm } from "../../../../../src/update/update-cvm.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { startFaultServer } from "../../../../support/chain/fault-server.ts";
import { projectOf, runTask, type TaskRun, type WorldOfProject } from "../../../../support/hardhat/run-task.ts";
import { rejection } from "../../../../support/rejection.ts";

const web = "services:\n  web:\n    image: nginx\n";

interface Refusal {
  readonly error: { readonly code: string; readonly message: string; readonly nextStep: string };
}

describe("dstack update with a compose file that Docker would refuse", () => {
  let world: World;
  let directory: string;
  let requests = 0;
  let server: Awaited<ReturnType<typeof startFaultServer>>;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    directory = await mkdtemp(join(tmpdir(), "dstack-compose-"));
    server = await startFaultServer((_, response) => {
      requests++;
      response.writeHead(500).end();
    });
  });
  after(async () => {
    await server?.close();
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  async function update(text: string, args: object, endpoints: WorldOfProject = world): Promise<TaskRun> {
    const compose = join(directory, "docker-compose.yml");
    await writeFile(compose, text);
    const hre = await projectOf(endpoints, { kms: world.contracts.kms });
    const ledger = join(directory, "ledger.sqlite");
    return runTask(hre, ["update"], { cvm: "onchain-app", compose, json: true, ledger, ...args });
  }

  const refused: readonly [what: string, text: string, message: RegExp][] = [
    ["two merge keys", `x-a: &a {A: b}\n${web}    environment:\n      <<: *a\n      <<: *a\n`, /at line 7, column 7/],
    [
      "an image indented like its service",
      "services:\n  web:\n  image: nginx\n",
      /services\.image .* at line 3, column 3/,
    ],
    ["a service without content", `${web}  worker:\n`, /services\.worker must be a mapping, at line 4, column 3/],
    ["a service that is text", "services:\n  web: nginx\n", /services\.web must be a mapping, at line 2/],
    ["a key with a typing error", `${web}    prots: ["80:80"]\n`, /services\.web\.prots .* at line 4, column 5/],
    ["a mapping in a list", `${web}    environment:\n      - URL: x\n`, /services\.web\.environment\[0\] must be text/],
    ["two documents", `${web}---\n${web}`, /contains 2 YAML documents/],
    ["an undefined anchor", `${web}    command: *nothing\n`, /an alias to an undefined anchor, at line 4, column 14/],
    ["an undefined service", `${web}    depends_on: [db]\n`, /services\.web\.depends_on .*\bdb\b/],
    ["a variable that does not end", `${web}    command: "\${A"\n`, /services\.web\.command/],
  ];
  for (const [what, text, message] of refused)
    it(`refuses ${what} before any request`, async () => {
      requests = 0;
      const url = `http://127.0.0.1:${server.port}`;
      const endpoints = { apiKey: world.apiKey, chain: { id: world.chain.id, rpcUrl: url }, cloud: { baseUrl: url } };
      const outcome = await update(text, {}, endpoints);
      const { error } = outcome.json<Refusal>();
      expect([outcome.exitCode, error.code, requests]).to.deep.equal([2, "DSTK-1002", 0]);
      expect(error.message).to.match(message);
    });

  it("refuses it before any request from code, and for a plan", async () => {
    const cloud = createCloudClient({ baseUrl: `http://127.0.0.1:${server.port}`, apiKey: world.apiKey });
    const chain = world.chain.client;
    const request = { cloud, chain, cvm: "onchain-app", dockerCompose: `${web}    prots: []\n` };
    using ledger = openLedger(join(directory, "code.sqlite"));
    requests = 0;
    for (const attempt of [updateCvm({ ...request, ledger }), planUpdate(request)])
      expect(await rejection(attempt)).to.be.instanceOf(InvalidAppComposeError);
    expect(requests).to.equal(0);
  });

  it("sends keys that the schema does not know only if the user accepts them", async () => {
    const newer = `${web}    a_newer_key: true\n`;
    const { error } = (await update(newer, {})).json<Refusal>();
    expect(error.nextStep).to.include("--accept unknown-compose-key");
    const outcome = await update(newer, { accept: "unknown-compose-key", wait: true });
    expect(outcome.exitCode, outcome.stdout).to.equal(0);
    expect(outcome.json<UpdateResult>().outcome).to.equal("updated");
  });

  it("accepts by that name nothing but keys", async () => {
    const outcome = await update("services:\n  web: nginx\n", { accept: "unknown-compose-key" });
    expect([outcome.exitCode, outcome.json<Refusal>().error.code]).to.deep.equal([2, "DSTK-1002"]);
  });
});
