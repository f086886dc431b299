import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { toHex } from "viem";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import type { AppId } from "../../../../src/core/ids.ts";
import { launchCvm } from "../../../../src/world/cvms.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { runScript } from "../../../support/scripts/run-script.ts";

const dockerCompose = (tag: string) => `services:\n  app:\n    image: registry.example/app:${tag}\n`;

describe("npm run update", () => {
  let world: World;
  let directory: string;
  let appId: AppId;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "dstack-update-script-"));
    world = await startWorld({ cvms: false, cloud: { rolloverMs: 50 } });
    appId = (
      await launchCvm({
        cloud: world.cloudClient,
        chain: world.ownerClient,
        owner: world.owner.address,
        name: "my-app",
        dockerCompose: dockerCompose("1"),
      })
    ).appId;
    await writeFile(join(directory, "docker-compose.yml"), dockerCompose("2"));
    await writeFile(join(directory, ".env"), "TOKEN='top secret'\n");
  });

  after(async () => {
    await world?.close();
    await rm(directory, { recursive: true, force: true });
  });

  function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const privateKey = world.owner.getHdKey().privateKey;
    return runScript({
      // As package.json has it, and with a network.
      args: ["hardhat", "dstack", "update", "--wait", "--network", "base", "--ledger", ledger(), ...args],
      env: {
        PHALA_CLOUD_API_KEY: world.apiKey,
        PHALA_CLOUD_API_PREFIX: world.cloud.baseUrl,
        BASE_RPC_URL: world.chain.rpcUrl,
        DSTACK_KMS: world.contracts.kms,
        DSTACK_OWNER_KEY: privateKey ? toHex(privateKey) : "",
        ...env,
      },
    });
  }
  const ledger = () => join(directory, "ledger.sqlite");
  const files = () => ["--compose", join(directory, "docker-compose.yml"), "--env-file", join(directory, ".env")];

  it("updates the CVM and answers one JSON object", async () => {
    const { code, stdout, stderr } = await run(["--app", appId, "--cvm", "my-app", ...files(), "--json"]);

    expect(code, stderr).to.equal(0);
    const result = JSON.parse(stdout) as { outcome: string; composeHash: string; transactions: unknown[] };
    expect(result.outcome).to.equal("updated");
    expect(result.transactions).to.have.length(1);
    const { composeHash, status } = await getCvm(world.cloudClient, { cvm: "my-app" });
    expect([status, composeHash]).to.deep.equal(["running", result.composeHash]);
    const written = await readFile(ledger(), "latin1");
    for (const text of [stderr, written]) expect(text).not.to.include("top secret").and.not.to.include(world.apiKey);
  });

  it("sends nothing the second time", async () => {
    const { code, stdout } = await run([
      "--cvm",
      "my-app",
      "--compose",
      join(directory, "docker-compose.yml"),
      "--json",
    ]);

    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.include({ outcome: "unchanged", transactions: [] });
  });

  for (const [title, args, env, code, text] of [
    ["no API key", ["--cvm", "my-app"], { PHALA_CLOUD_API_KEY: undefined }, 2, "there is no API key"],
    ["a wrong API key", ["--cvm", "my-app"], { PHALA_CLOUD_API_KEY: "phak_wrong" }, 4, "401"],
  ] as const) {
    it(`ends with one sentence and exit code ${code} for ${title}`, async () => {
      const outcome = await run(args, env);

      expect(outcome.code).to.equal(code);
      expect(outcome.stderr).to.include(text);
      expect(outcome.stderr).not.to.match(/^\s+at /m);
      expect(outcome.stderr).not.to.include(world.apiKey);
    });
  }
});
