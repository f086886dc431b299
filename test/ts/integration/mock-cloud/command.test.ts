import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { network } from "hardhat";
import { z } from "zod";
import { runToolkit, subcommands } from "../../../../src/bin/subcommands.ts";
import type { RunningMockCloud } from "../../../../src/mock-cloud/index.ts";
import { parseSeed, seedFileSchema } from "../../../../src/mock-cloud/parse-seed.ts";
import type { Provider } from "../../../support/mock-cloud/faulty-rpc.ts";
import { serveRpc } from "../../../support/mock-cloud/rpc-server.ts";
import { readJson, readText } from "../../../support/repository/files.ts";
import { runScript } from "../../../support/scripts/run-script.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("the command dstack-toolkit mock-cloud", () => {
  const directory = useTemporaryDirectory();
  const kms = `0x${"12".repeat(20)}`;

  async function run(args: readonly string[], env: Record<string, string> = {}) {
    const stdout: string[] = [];
    const stderr: string[] = [];
    const { exitCode, running } = await runToolkit({
      args: ["mock-cloud", ...args],
      env,
      stdout: { write: (text) => stdout.push(text) },
      stderr: { write: (text) => stderr.push(text) },
    });
    return {
      exitCode,
      cloud: running as RunningMockCloud | undefined,
      stdout: stdout.join(""),
      stderr: stderr.join(""),
    };
  }
  const file = (name: string, text: string) => {
    const path = join(directory.path, name);
    writeFileSync(path, text);
    return path;
  };

  it("prints its help", async () => {
    const { exitCode, stdout, stderr } = await run(["--help"]);
    expect({ exitCode, stderr }).to.deep.equal({ exitCode: 0, stderr: "" });
    expect(stdout).to.match(/^Usage: dstack-toolkit mock-cloud /);
    for (const flag of [
      "--seed",
      "--chain-rpc",
      "--kms",
      "--finality",
      "--allowed-hosts",
      "--allowed-origins",
      "--device-login",
      "--private-webhooks",
    ]) {
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
      list: file("list.json", "[]"),
      shortHash: file("short.json", '{"osImages": [{"name": "i", "version": "1", "osImageHash": "sekret"}]}'),
      withoutContract: file("contract.json", '{"kms": [{"slug": "k", "chainId": 1, "rpc": "http://a.example"}]}'),
      badRpc: file("rpc.json", `{"kms": [{"slug": "k", "chainId": 1, "contractAddress": "${kms}", "rpc": "sekret"}]}`),
      offChain: file("off.json", '{"kms": [{"slug": "k", "finality": "safe"}]}'),
      twice: file("twice.json", '{"kms": [{"slug": "k"}, {"slug": "k"}]}'),
      unknown: file("unknown.json", '{"nodes": [], "images": ["sekret"]}'),
      capacity: file(
        "capacity.json",
        `{"nodes": [{"id": 1, "name": "n", "deviceId": "${"d1".repeat(32)}", "capacity": {"vcpu": -1}}]}`,
      ),
      withoutRpc: file("chain.json", `{"kms": [{"slug": "k", "chainId": 1, "contractAddress": "${kms}"}]}`),
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
      [["--seed", seeds.wrong], "The seed is not valid at nodes[0].id: must be a whole number."],
      [["--seed", seeds.list], "The seed is not valid: expected object, received array."],
      [["--seed", seeds.shortHash], "at osImages[0].osImageHash: must be 32 bytes of hex."],
      [["--seed", seeds.withoutContract], "at kms[0].contractAddress: is missing, as the KMS has a chainId."],
      [["--seed", seeds.badRpc], "at kms[0].rpc: must be an http or https URL."],
      [["--seed", seeds.offChain], "at kms[0].finality: needs chainId too."],
      [["--seed", seeds.twice], "at kms[1].slug: occurs twice."],
      [["--seed", seeds.unknown], 'The seed is not valid: Unrecognized key: "images".'],
      [["--seed", seeds.capacity], "at nodes[0].capacity.vcpu: must not be negative."],
      [["--finality", "soon"], "--finality must be latest, safe or finalized."],
      [["--kms", kms], "--kms needs --chain-rpc"],
      [["--kms", kms, "--chain-rpc", "sekret"], "--chain-rpc must be an http or https URL."],
      [
        ["--kms", kms, "--chain-rpc", "http://127.0.0.1:1/sekret"],
        "The endpoint of --chain-rpc gave no usable answer (",
      ],
      [["--kms", "0x12", "--chain-rpc", "http://127.0.0.1:1"], "--kms must be 20 bytes of hex"],
      [["--kms", `0xaB${"cd".repeat(19)}`, "--chain-rpc", "http://127.0.0.1:1"], "checksum"],
      [["--host", "host.invalid"], "host.invalid of --host"],
      [["--host", "192.0.2.1"], "This machine has no address 192.0.2.1"],
      [["--state", directory.path], directory.path],
      [["--state", ""], "--state needs a file name."],
      [["--port"], "--port"],
      [["--seed", seeds.emptyKey], "at workspaces[0].apiKeys[0].key: An API key must not be empty."],
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
      expect(stderr, args.join(" ")).to.match(/^.+\.\n.+\.\n$/, "one sentence, and where to look further");
      expect(stderr, args.join(" ")).to.not.match(/^\s+at |sekret/m);
    }
    taken.close();
  });

  it("tells why the endpoint of --chain-rpc cannot be used, without the secrets of its URL", async () => {
    const secret = "sekret-1234567890";
    const answers: Readonly<Record<string, [status: number, body: string, told: string]>> = {
      key: [401, `{"error":"invalid api key ${secret}"}`, 'HTTP 401: "invalid api key [hidden]"'],
      noJson: [401, "no such key", 'HTTP 401: "no such key"'],
      noContent: [429, "", "HTTP 429: Too Many Requests"],
      busy: [429, '{"error":"slow down"}', 'HTTP 429: "slow down"'],
      moved: [302, "{}", "HTTP 302: Found"],
      page: [200, "<html>Sign in</html>", "its answer is not JSON-RPC"],
      empty: [200, "", "its answer is not JSON-RPC"],
      shape: [200, "{}", "its answer is not JSON-RPC"],
      nothing: [200, "null", "its answer is not JSON-RPC"],
    };
    const server = createHttpServer(({ url }, response) => {
      const [status = 404, body = ""] = answers[url?.split("/")[1] ?? ""] ?? [];
      response.writeHead(status, { "content-type": "application/json", location: "/shape" }).end(body);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      for (const [name, [, , told]] of Object.entries(answers)) {
        const rpc = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}/${secret}`;
        const { exitCode, stderr } = await run(["--port", "0", "--kms", kms, "--chain-rpc", rpc]);
        expect(exitCode, name).to.equal(2);
        expect(stderr, name).to.include(`The endpoint of --chain-rpc gave no usable answer (${told}).\n`);
        expect(stderr, name).to.not.include(secret);
      }
    } finally {
      server.close();
    }
  });

  it("refuses an empty API key from the environment", async () => {
    for (const key of ["", " "]) {
      const { exitCode, stdout, stderr } = await run(["--port", "0"], { DSTACK_CLOUD_API_KEY: key });
      expect({ exitCode, stdout }).to.deep.equal({ exitCode: 2, stdout: "" });
      expect(stderr).to.equal("DSTACK_CLOUD_API_KEY must not be empty.\nSee dstack-toolkit mock-cloud --help.\n");
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

  it("adds the KMS of a chain that its endpoint names", async () => {
    const { provider } = (await network.create("local")) as { provider: Provider };
    const rpcServer = await serveRpc(provider);
    const address = `0x${"c0".repeat(20)}`;
    await provider.request({ method: "hardhat_setCode", params: [address, "0x00"] });
    try {
      const missing = await run(["--port", "0", "--kms", kms, "--chain-rpc", rpcServer.url]);
      expect(missing.stderr).to.include(`Chain 8453 has no contract at ${kms}.`);
      const { cloud } = await run(["--port", "0", "--quiet", "--kms", address, "--chain-rpc", rpcServer.url], {
        DSTACK_CLOUD_API_KEY: "the-key",
      });
      const headers = { "x-api-key": "the-key", "x-phala-version": "2026-01-21" };
      const answer = await cloud?.app.inject({ url: "/api/v1/kms/kms-base-1", headers });
      await cloud?.close();
      expect(answer?.json()).to.include({ chain_id: 8453, kms_contract_address: address });
    } finally {
      await rpcServer.close();
    }
  });

  it("has a seed format that docs/mock-cloud.md describes field by field, with an example that works", () => {
    const page = readText("docs/mock-cloud.md");
    const rows = [...page.matchAll(/^\| `([\w[\].]+)` \| (yes|with `\w+`)? ?\|/gm)];
    const documented = new Map(rows.map(([, path = "", needed]) => [path, needed === "yes"]));
    const wanted = fieldsOf(z.toJSONSchema(seedFileSchema, { io: "input" }) as JsonSchema, "");
    expect([...documented.keys()]).to.have.members([...wanted.keys()]);
    for (const [path, isNeeded] of wanted) {
      const isInOption = /\.(?:capacity|resource)\./.test(path);
      expect(documented.get(path), path).to.equal(isNeeded && !isInOption);
    }
    const [, example = ""] = /^```json\n([\s\S]*?)^```/m.exec(page) ?? [];
    const settings = { apiKey: undefined, rpcUrl: "http://127.0.0.1:8545" };
    expect(parseSeed(JSON.parse(example), settings).kms).to.have.lengthOf(1);
  });

  it("ends its process with exit code 2", async () => {
    const { code, stderr } = await runScript({ args: ["src/bin/main.ts", "mock-cloud", "--port", "x"] });
    expect({ code, stderr }).to.deep.equal({
      code: 2,
      stderr: "--port must be a whole number from 0 to 65535.\nSee dstack-toolkit mock-cloud --help.\n",
    });
  });
});

describe("the command dstack-toolkit", () => {
  async function run(...args: readonly string[]) {
    const stdout: string[] = [];
    const stderr: string[] = [];
    const streams = {
      stdout: { write: (text: string) => stdout.push(text) },
      stderr: { write: (text: string) => stderr.push(text) },
    };
    const { exitCode } = await runToolkit({ args, env: {}, ...streams });
    return { exitCode, stdout: stdout.join(""), stderr: stderr.join("") };
  }

  it("lists its subcommands and prints its version", async () => {
    for (const flag of ["--help", "-h", "help"]) {
      const { exitCode, stdout, stderr } = await run(flag);
      expect({ exitCode, stderr }).to.deep.equal({ exitCode: 0, stderr: "" });
      for (const [name, { summary }] of Object.entries(subcommands))
        expect(stdout).to.include(name).and.include(summary);
    }
    const { version } = readJson<{ version: string }>("package.json");
    for (const flag of ["--version", "-v"])
      expect(await run(flag)).to.deep.equal({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
  });

  it("says in one sentence that a subcommand is missing or unknown", async () => {
    for (const [args, problem] of [
      [[], "A subcommand is missing."],
      [["mock"], 'There is no subcommand "mock".'],
      [["constructor"], 'There is no subcommand "constructor".'],
      [["--port", "1"], 'There is no subcommand "--port".'],
    ] as const) {
      expect(await run(...args)).to.deep.equal({
        exitCode: 2,
        stdout: "",
        stderr: `${problem}\nSee dstack-toolkit --help.\n`,
      });
    }
  });
});

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
}

/** The fields of a schema that hold a value, by path, and whether their object must have them. */
function fieldsOf({ properties = {}, required = [] }: JsonSchema, before: string): Map<string, boolean> {
  const fields = new Map<string, boolean>();
  for (const [name, schema] of Object.entries(properties)) {
    const path = `${before}${name}`;
    const [inner, separator] = schema.items?.properties ? [schema.items, "[]."] : [schema, "."];
    if (inner.properties === undefined) fields.set(path, required.includes(name));
    else for (const [deeper, isNeeded] of fieldsOf(inner, `${path}${separator}`)) fields.set(deeper, isNeeded);
  }
  return fields;
}
