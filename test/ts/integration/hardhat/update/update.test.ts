import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { openLedger } from "../../../../../src/chain/transactions/ledger.ts";
import { getComposeFile } from "../../../../../src/cloud/get-compose-file.ts";
import { getCvm } from "../../../../../src/cloud/get-cvm.ts";
import type { UpdateResult } from "../../../../../src/update/run.ts";
import { devPrivateKey } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";

const compose = (tag: string) => `services:\n  web:\n    image: nginx:${tag}\n    environment: [TOKEN, API_URL]\n`;
const secret = "hunter2 is no password";

describe("dstack update", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let directory: string;
  let snapshot: string;
  let runs = 0;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    hre = await projectOf(world, { kms: world.contracts.kms });
    directory = await mkdtemp(join(tmpdir(), "dstack-update-"));
    await writeFile(path("new.yml"), compose("1.29"));
    await writeFile(path("variable.yml"), "services:\n  web:\n    image: nginx:$TOKEN\n");
    await writeFile(path(".env"), `TOKEN='${secret}'\nAPI_URL=first\n`);
    await writeFile(path("init.sh"), "#!/bin/sh\necho hello\n");
    await writeFile(path("broken.env"), "no assignment\n");
    await writeFile(path("empty.env"), "");
    await writeFile(path("comments.env"), "\ufeff# TOKEN=1\n\n  # nothing\r\n");
    await writeFile(path("greeting.env"), "GREETING=hello\n");
    await writeFile(path("no-values.env"), 'TOKEN=\nAPI_URL=""\n');
    await writeFile(path("one-value.env"), "TOKEN=\nAPI_URL=first\n");
  });
  beforeEach(async () => {
    snapshot = await world.snapshot();
    runs++;
  });
  afterEach(() => {
    delete process.env.API_URL;
    return world.restore(snapshot);
  });
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const path = (name: string) => join(directory, name);
  const run = (args: Record<string, unknown>, project = hre): Promise<TaskRun> =>
    runTask(project, ["update"], {
      cvm: "onchain-app",
      app: appOf(args.cvm),
      json: true,
      ledger: path(`ledger-${runs}.sqlite`),
      ...args,
    });
  /** An environment needs the name of its app. */
  const appOf = (cvm: unknown) => (cvm === undefined ? world.cvms.onChain?.appId : undefined);
  const errorOf = (outcome: TaskRun) => outcome.json<{ error: { name: string } }>().error;
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });

  it("updates compose file, script and environment from file and process, and shows no secret", async () => {
    process.env.API_URL = "https://api.example";
    const args = { compose: path("new.yml"), preLaunchScript: path("init.sh"), envFile: path(".env"), env: "API_URL" };
    const outcome = await run({ ...args, wait: true });
    expect(outcome.exitCode, outcome.stdout).to.equal(0);
    const result = outcome.json<UpdateResult>();
    expect(result.outcome).to.equal("updated");
    expect(result.transactions).to.have.length(1);
    expect(await getCvm(world.cloudClient, { cvm: "onchain-app" })).to.include({
      status: "running",
      composeHash: result.composeHash,
    });
    const document = await getComposeFile(world.cloudClient, { cvm: "onchain-app" });
    expect(document).to.deep.include({
      docker_compose_file: compose("1.29"),
      pre_launch_script: "#!/bin/sh\necho hello\n",
      allowed_envs: ["TOKEN", "API_URL"],
    });
    const ledger = await readFile(path(`ledger-${runs}.sqlite`), "latin1");
    for (const text of [outcome.stdout, outcome.stderr, ledger])
      expect(text).not.to.include(secret).and.not.to.include("api.example").and.not.to.include(world.apiKey);

    const again = await run({ compose: path("new.yml"), wait: true });
    expect(again.json<UpdateResult>()).to.deep.include({ outcome: "unchanged", transactions: [] });
  });

  it("pays the fees that the user names, and shows the price with them", async () => {
    const fees = { maxFee: "30", priorityFee: "4.5" };
    const planned = await run({ compose: path("new.yml"), ...fees, dryRun: true });
    expect(planned.json<{ price: { most: { feePerGas: string } } }>().price.most.feePerGas).to.equal("30000000000");
    const paid = await run({ compose: path("new.yml"), ...fees });
    expect(paid.exitCode, paid.stdout).to.equal(0);
    using ledger = openLedger(path(`ledger-${runs}.sqlite`));
    expect(ledger.transactions().flatMap(({ attempts }) => attempts)).to.have.length(1);
    expect(ledger.transactions()[0]?.attempts[0]).to.include({
      maxFeePerGas: 30_000_000_000n,
      maxPriorityFeePerGas: 4_500_000_000n,
    });
  });

  it("ends with the cloud's confirmation without --wait, and a later run reports the result", async () => {
    const first = await run({ compose: path("new.yml") });
    const { outcome, composeHash } = first.json<UpdateResult>();
    expect([first.exitCode, outcome]).to.deep.equal([0, "confirmed"]);
    const block = await head();
    const second = await run({ compose: path("new.yml"), wait: true });
    expect(second.json<UpdateResult>()).to.deep.include({ outcome: "updated", composeHash, isResumed: true });
    expect(await head()).to.equal(block);
  });

  it("updates a CVM whose KMS keeps its policy off chain, without a network or a key", async () => {
    const project = await projectOf(
      world,
      { ownerKey: "" },
      { networks: { world: { type: "http", url: "http://127.0.0.1:9" } } },
      {},
    );
    const outcome = await run({ cvm: "offchain-app", compose: path("new.yml"), wait: true }, project);
    expect(outcome.exitCode, outcome.stdout).to.equal(0);
    expect(outcome.json<UpdateResult>()).to.deep.include({ outcome: "updated", transactions: [] });
  });

  it("checks the document before a request to the cloud, and applies --accept", async () => {
    const args = { compose: path("variable.yml"), envFile: path(".env") };
    const refused = await run(args);
    expect(errorOf(refused)).to.include({ name: "LintRefusedError" });
    expect(refused.exitCode).to.equal(2);
    const accepted = await run({ ...args, accept: "image-from-variable" });
    expect(accepted.exitCode, accepted.stdout).to.equal(0);
  });

  it("refuses a compose file that Docker would read differently before a request to the cloud", async () => {
    const nowhere = await projectOf(world, { cloud: { apiKey: "key", baseUrl: "http://127.0.0.1:9/api/v1" } });
    const files: Readonly<Record<string, string>> = {
      "several documents": `${compose("1.29")}---\nservices:\n  other:\n    image: other:latest\n`,
      "a second document that cannot be read": `${compose("1.29")}---\nservices: [\n`,
      "two merge keys": "x-a: &a {image: a}\nservices:\n  web:\n    <<: *a\n    <<: *a\n",
      "an undefined alias": "services:\n  web: *nothing\n",
    };
    for (const [what, text] of Object.entries(files)) {
      await writeFile(path("bad.yml"), text);
      for (const cvm of ["onchain-app", "offchain-app"]) {
        const refused = await run({ cvm, compose: path("bad.yml") }, nowhere);
        expect(errorOf(refused), what).to.include({ name: "InvalidAppComposeError" });
        expect(refused.exitCode).to.equal(2);
      }
    }
  });

  it("pays nothing with a stranger's key, and reports a missing signer", async () => {
    const block = await head();
    const stranger = await projectOf(world, { ownerKey: devPrivateKey(5) });
    expect(errorOf(await run({ compose: path("new.yml") }, stranger))).to.include({ name: "NotOwnerError" });
    const keyless = await projectOf(
      world,
      { ownerKey: "" },
      { networks: { world: { type: "http", url: world.chain.rpcUrl, accounts: [] } } },
    );
    expect(errorOf(await run({ compose: path("new.yml") }, keyless))).to.include({ name: "SignerRequiredError" });
    expect(await head()).to.equal(block);
  });

  describe("with an environment that removes variables", () => {
    const environment = () => world.cloud.readEnvironment(world.cvms.onChain?.id ?? "");
    const tokens = [
      { key: "TOKEN", value: secret },
      { key: "API_URL", value: "first" },
    ];

    beforeEach(async () => {
      const outcome = await run({ compose: path("new.yml"), envFile: path(".env"), wait: true });
      expect(outcome.exitCode, outcome.stdout).to.equal(0);
      runs++;
    });

    for (const [what, args] of [
      ["an empty file", { envFile: "empty.env" }],
      ["a file of comments", { envFile: "comments.env" }],
      ["an empty file beside a new compose file", { envFile: "empty.env", compose: "variable.yml" }],
    ] as const)
      it(`refuses ${what}, before a request to the cloud`, async () => {
        const block = await head();
        const named = Object.fromEntries(Object.entries(args).map(([option, name]) => [option, path(name)]));
        const refused = await run(named);
        expect(errorOf(refused)).to.include({ name: "InvalidEnvironmentError" });
        expect(refused.exitCode).to.equal(2);
        expect(refused.stdout).to.include("--clear-environment").and.to.include("cannot be read back");
        expect(environment()).to.deep.equal(tokens);
        expect(await head()).to.equal(block);
      });

    it("refuses values that are all empty, from a file or the process, unless that is accepted by name", async () => {
      process.env.API_URL = "";
      for (const args of [{ envFile: path("no-values.env") }, { env: "API_URL" }]) {
        const block = await head();
        const refused = await run(args);
        expect(errorOf(refused)).to.include({ name: "InvalidEnvironmentError" });
        expect(refused.exitCode).to.equal(2);
        expect(refused.stdout).to.include("--accept empty-values").and.to.include("API_URL");
        expect(environment()).to.deep.equal(tokens);
        expect(await head()).to.equal(block);
      }
      const accepted = await run({ envFile: path("no-values.env"), accept: "empty-values", wait: true });
      expect(accepted.exitCode, accepted.stdout).to.equal(0);
      expect(environment()).to.deep.equal(tokens.map(({ key }) => ({ key, value: "" })));
    });

    it("names each empty value, in the result and as text", async () => {
      const result = (await run({ envFile: path("one-value.env") })).json<UpdateResult>();
      expect(result.warnings).to.deep.equal(["TOKEN is set to an empty value."]);
      runs++;
      const { stdout } = await run({ envFile: path("one-value.env"), json: false });
      expect(stdout.match(/TOKEN is set to an empty value/g)).to.have.length(1);
    });

    it("clears the environment only with its option, and says that the values are removed", async () => {
      const refused = await run({ clearEnvironment: true, envFile: path("greeting.env") });
      expect(errorOf(refused)).to.include({ name: "InvalidArgumentError" });
      const outcome = await run({ clearEnvironment: true, wait: true, json: false });
      expect(outcome.exitCode, outcome.stderr).to.equal(0);
      expect(outcome.stdout).to.include("their values cannot be recovered");
      expect(environment()).to.deep.equal([]);
    });

    it("names each missing variable, before the payment and in the result", async () => {
      const args = { envFile: path("greeting.env"), wait: true };
      const result = (await run(args)).json<UpdateResult>();
      expect(result.droppedVariables).to.deep.equal([
        { name: "TOKEN", isUsed: true },
        { name: "API_URL", isUsed: true },
      ]);
      expect(result.warnings).to.have.length(2);
      expect(result.warnings.join()).to.include("TOKEN").and.to.include("API_URL");
    });

    it("also prints the missing variables, and only those", async () => {
      process.env.API_URL = "second";
      const { stdout } = await run({ envFile: path("greeting.env"), env: "API_URL", json: false });
      const told = stdout.indexOf("The compose file uses TOKEN");
      expect(told).to.be.greaterThan(0).and.lessThan(stdout.indexOf("addComposeHash"));
      expect(stdout).not.to.include("uses API_URL");
      expect(stdout.split("The compose file uses TOKEN"), "once").to.have.length(2);
    });

    it("pays nothing for the same names in another order, and keeps the order", async () => {
      const before = await getComposeFile(world.cloudClient, { cvm: "onchain-app" });
      const result = (await run({ env: "API_URL=https://b.example,TOKEN=other", wait: true })).json<UpdateResult>();
      expect(result).to.deep.include({ outcome: "environmentReplaced", transactions: [] });
      expect(await getComposeFile(world.cloudClient, { cvm: "onchain-app" })).to.deep.equal(before);
      expect(Object.fromEntries(environment()?.map(({ key, value }) => [key, value]) ?? [])).to.deep.equal({
        TOKEN: "other",
        API_URL: "https://b.example",
      });
    });

    it("refuses a value that is too large, and warns about one that ends with a backslash, before the payment", async () => {
      const block = await head();
      const refused = await run({ env: `TOKEN=${"s".repeat(128 * 1024 + 1)},API_URL=x` });
      expect(errorOf(refused)).to.include({ name: "InvalidEnvironmentError" });
      expect(refused.exitCode).to.equal(2);
      expect(environment()).to.deep.equal(tokens);
      expect(await head()).to.equal(block);
      const planned = await run({ env: "TOKEN=C:\\,API_URL=x", dryRun: true });
      expect(planned.json<UpdateResult>().warnings).to.deep.equal([
        "The value of TOKEN ends with a backslash (\\), which some versions of the guest read wrongly.",
      ]);
    });

    it("prints nothing when the same names are set", async () => {
      expect((await run({ envFile: path(".env") })).json<UpdateResult>().warnings).to.deep.equal([]);
    });
  });

  it("prints each step", async () => {
    const { stdout } = await run({ compose: path("new.yml"), json: false });
    for (const words of [
      "compare hashes",
      "addComposeHash",
      "The cloud has accepted the update of onchain-app (",
      "--wait",
    ])
      expect(stdout).to.include(words);
  });

  it("says in a sentence how it ended, with the CVM's name and its compose hash", async () => {
    const runs: readonly [Record<string, unknown>, RegExp][] = [
      [{ dryRun: true }, /^onchain-app \(cvm_\w+\) would be updated to compose hash 0x[0-9a-f]{64}\.$/m],
      [{}, /^onchain-app \(cvm_\w+\) was updated, and runs compose hash 0x[0-9a-f]{64}\.$/m],
      [{}, /^onchain-app \(cvm_\w+\) already runs compose hash 0x[0-9a-f]{64}\. Nothing is left to do\.$/m],
      [{ envFile: path(".env") }, /^onchain-app \(cvm_\w+\) was updated/m],
      [{ envFile: path(".env") }, /^onchain-app \(cvm_\w+\) has its new environment, and still runs compose hash/m],
    ];
    for (const [args, sentence] of runs) {
      const { stdout } = await run({ compose: path("new.yml"), wait: true, json: false, ...args });
      expect(stdout).to.match(sentence);
    }
  });

  it("says of a stopped CVM that it boots with its new document later, and takes --yes", async () => {
    const id = world.cvms.onChain?.id ?? "";
    await world.cloudClient.request({ method: "POST", path: `/cvms/${id}/stop` });
    await world.cloud.whenIdle();
    const later = /It is stopped, and boots with compose hash 0x[0-9a-f]{64} at its next start\.$/m;
    for (const args of [{}, { envFile: path(".env") }, { envFile: path(".env"), json: true }]) {
      const { stdout, exitCode } = await run({ compose: path("new.yml"), wait: true, yes: true, json: false, ...args });
      expect(exitCode, stdout).to.equal(0);
      if ("json" in args) expect(JSON.parse(stdout)).to.include({ status: "stopped" });
      else
        expect(stdout)
          .to.match(later)
          .and.not.match(/(?:still|and) runs | restarts /);
    }
    const unchanged = await run({ compose: path("new.yml"), json: false });
    expect(unchanged.stdout).to.match(/already has what was asked for\. It is stopped, .* Nothing is left to do\.$/m);
    const accepted = await run({ compose: path("new.yml"), envFile: path("greeting.env"), json: false });
    expect(accepted.stdout).to.contain("The CVM is stopped, and stays stopped").and.not.contain("restarts");
  });

  it("names a variable that the compose file needs and nothing sets", async () => {
    const { stdout } = await run({ compose: path("new.yml"), env: "TOKEN=x", dryRun: true, json: false });
    expect(stdout).to.contain("The compose file needs API_URL, which nothing sets: it is not in allowed_envs.");
    expect(stdout).to.not.contain("needs TOKEN");
  });

  for (const [what, args, name, code] of [
    ["neither CVM nor app", { cvm: undefined, app: undefined }, "InvalidArgumentError", 2],
    ["a value with a comma on the command line", { env: `TOKEN=${secret},${secret}` }, "InvalidArgumentError", 2],
    ["a variable that is not set", { env: "DSTACK_TEST_NOT_SET" }, "InvalidArgumentError", 2],
    ["a name that every object has", { env: "constructor" }, "InvalidArgumentError", 2],
    ["an empty list of names", { env: "" }, "InvalidArgumentError", 2],
    ["a list of empty names", { env: " , " }, "InvalidArgumentError", 2],
    ["a missing file", { compose: "missing.yml" }, "UnusableFileError", 2],
    ["a malformed environment file", { envFile: "broken.env" }, "InvalidEnvironmentError", 2],
    ["a short hash", { acceptHashMismatch: "0x12" }, "InvalidHexError", 2],
    ["an unknown CVM", { cvm: "unknown" }, "CvmNotFoundError", 4],
  ] as const)
    it(`refuses ${what}`, async () => {
      const named = "envFile" in args ? { envFile: path(args.envFile) } : args;
      const refused = await run(named);
      expect(errorOf(refused)).to.include({ name });
      expect(refused.exitCode).to.equal(code);
      expect(refused.stdout + refused.stderr)
        .not.to.include(secret)
        .and.not.match(/^\s+at /m);
    });
});
