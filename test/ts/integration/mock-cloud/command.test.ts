import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { runCommand } from "../../../../src/mock-cloud/command.ts";
import { runScript } from "../../../support/scripts/run-script.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("the command dstack-mock-cloud", () => {
  const directory = useTemporaryDirectory();

  async function run(args: readonly string[], env: Record<string, string> = {}) {
    const stdout: string[] = [];
    const stderr: string[] = [];
    const { exitCode, cloud } = await runCommand({
      args,
      env,
      stdout: { write: (text) => stdout.push(text) },
      stderr: { write: (text) => stderr.push(text) },
    });
    return { exitCode, cloud, stdout: stdout.join(""), stderr: stderr.join("") };
  }
  const file = (name: string, text: string) => {
    const path = join(directory.path, name);
    writeFileSync(path, text);
    return path;
  };

  it("prints its help", async () => {
    const { exitCode, stdout, stderr } = await run(["--help"]);
    expect({ exitCode, stderr }).to.deep.equal({ exitCode: 0, stderr: "" });
    for (const flag of ["--seed", "--allowed-hosts", "--allowed-origins", "--device-login", "--private-webhooks"]) {
      expect(stdout).to.include(flag);
    }
  });

  it("passes its options on", async () => {
    const options = [
      "--port=0",
      "--quiet",
      "--device-login",
      "--public-url=https://cloud.example",
      "--allowed-hosts=a.example, b.example",
    ];
    const { cloud, stdout } = await run(options, { DSTACK_CLOUD_API_KEY: "the-key" });
    if (!cloud) throw new Error("It did not start.");
    try {
      expect(JSON.parse(stdout)).to.deep.equal({ url: cloud.url, baseUrl: cloud.baseUrl });
      const headers = { "Content-Type": "application/json" };
      const body = JSON.stringify({ client_id: "phala-cli" });
      const login = await fetch(`${cloud.baseUrl}/auth/device/code`, { method: "POST", headers, body });
      const { verification_uri } = (await login.json()) as { verification_uri: string };
      expect(verification_uri).to.equal("https://cloud.example/api/v1/auth/device");
      const me = await cloud.app.inject({
        url: "/api/v1/auth/me",
        headers: { host: "b.example", "x-api-key": "the-key" },
      });
      expect(me.statusCode).to.equal(200);
    } finally {
      await cloud.close();
    }
  });

  it("says in one sentence why it cannot start, with exit code 2", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo; // listening on TCP
    const seeds = {
      broken: file("broken.json", '{"workspaces": [{"name": "sekret-name"'),
      wrong: file("wrong.json", '{"nodes": [{"id": "sekret-id"}]}'),
      emptyKey: file("empty-key.json", '{"workspaces": [{"name": "sekret-name", "apiKeys": [{"key": ""}]}]}'),
      withoutRpc: file("chain.json", '{"kms": [{"slug": "k", "chainId": 1, "contractAddress": "0x12"}]}'),
    };
    const cases: [args: string[], words: string][] = [
      [["--port", String(port)], `Port ${port} is in use`],
      [["--port", "eighty"], "--port must be a whole number"],
      [["--port", "70000"], "--port must be a whole number"],
      [["--rollover-ms=-1"], "--rollover-ms must be a whole number"],
      [["--no-such-flag"], "--no-such-flag"],
      [["stray"], "stray"],
      [["--seed", join(directory.path, "none.json")], "none.json"],
      [["--seed", directory.path], directory.path],
      [["--seed", seeds.broken], "is not JSON"],
      [["--seed", seeds.wrong], "nodes[0].id"],
      [["--seed", seeds.emptyKey], "An API key must not be empty."],
      [["--host", ""], "--host must not be empty."],
      [["--seed", seeds.withoutRpc], "KMS k needs an RPC endpoint"],
      [["--state", file("not-a-database", "text ".repeat(1000))], "The state file cannot be used"],
      [["--allowed-hosts", "http://a.example"], "--allowed-hosts needs host names"],
      [["--allowed-origins", "*"], "--allowed-origins needs origins"],
      [["--public-url", "a.example"], "http or https URL"],
    ];
    for (const [args, words] of cases) {
      const { exitCode, stdout, stderr } = await run(["--port", "0", ...args]);
      expect({ exitCode, stdout }, args.join(" ")).to.deep.equal({ exitCode: 2, stdout: "" });
      expect(stderr, args.join(" ")).to.include(words);
      expect(stderr, args.join(" ")).to.not.match(/^\s+at |sekret/m);
    }
    taken.close();
  });

  it("refuses an empty API key from the environment", async () => {
    for (const key of ["", " "]) {
      const { exitCode, stdout, stderr } = await run(["--port", "0"], { DSTACK_CLOUD_API_KEY: key });
      expect({ exitCode, stdout }).to.deep.equal({ exitCode: 2, stdout: "" });
      expect(stderr).to.equal("DSTACK_CLOUD_API_KEY must not be empty.\nSee dstack-mock-cloud --help.\n");
    }
  });

  it("warns that the network can reach it when it listens on more than loopback", async () => {
    const warning = (host: string) => `Other machines on the network can reach this cloud (--host ${host}).\n`;
    for (const [host, expected] of [
      ["0.0.0.0", warning("0.0.0.0")],
      ["0", warning("0")],
      ["127.0.0.1", ""],
      ["localhost", ""],
    ] as const) {
      const { cloud, stderr } = await run(["--port", "0", "--quiet", "--host", host]);
      await cloud?.close();
      expect({ started: cloud !== undefined, stderr }, host).to.deep.equal({ started: true, stderr: expected });
    }
  });

  it("ends its process with exit code 2", async () => {
    const { code, stderr } = await runScript({ args: ["src/mock-cloud/server.ts", "--port", "x"] });
    expect({ code, stderr }).to.deep.equal({
      code: 2,
      stderr: "--port must be a whole number from 0 to 65535.\nSee dstack-mock-cloud --help.\n",
    });
  });
});
