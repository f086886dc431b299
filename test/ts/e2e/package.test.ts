import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { npmCommand } from "../../../scripts/npm.mjs";
import { commandOf, filesBelow, root } from "../../../scripts/support/paths.ts";
import type { PackageManifest } from "../../support/repository/files.ts";

interface Tarball {
  readonly filename: string;
  /** Bytes of the archive and of what it unpacks to. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

// The package as a user gets it: packed, unpacked into a project of its own, and used only through its exports.
describe("the published package", function () {
  // A build, a strict type check of every dependency and a compiler run, perhaps on a busy machine.
  this.timeout(5 * 60_000);
  const directory = mkdtempSync(join(tmpdir(), "dstack-toolkit-package-"));
  const consumer = join(directory, "consumer");
  const installed = join(consumer, "node_modules", "dstack-toolkit");
  const example = join(directory, "example");
  let tarball: Tarball;
  let manifest: PackageManifest & { readonly bin?: Readonly<Record<string, string>> };

  before(() => {
    run(root, ["scripts/run.mjs", "scripts/build.ts", "--no-compile"]);
    tarball = pack();
    cpSync(join(root, "test/support/projects/consumer"), consumer, { recursive: true });
    for (const [index, example] of documentedExamples().entries())
      writeFileSync(join(consumer, `documented-${index}.ts`), example);
    install(consumer, ["typescript", "@types/node", "@types/chai", "solc", "@phala/cloud"]);
    manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
    cpSync(join(root, "examples/hardhat"), example, { recursive: true });
  });
  after(() => rmSync(directory, { recursive: true }));

  it("contains exactly the files for its users", () => {
    const paths = tarball.files.map(({ path }) => path);
    const wanted =
      /^(?:dist\/.+(?:\.d\.ts|\.js|\.sql)|dist\/core\/compose-schema\/compose-spec\.json|contracts\/.+\.sol|docs\/.+\.(?:md|svg)|README\.md|SECURITY\.md|LICENSE|NOTICE|package\.json)$/;
    expect(paths.filter((path) => !wanted.test(path))).to.deep.equal([]);
    expect(
      paths.filter((path) => /\btest(?!ing\b)|mock(?!-cloud)|\.env|key(?:store|\.json)/i.test(path)),
    ).to.deep.equal([]);
    expect(paths).to.include.members([
      "README.md",
      "LICENSE",
      "NOTICE",
      "contracts/DstackApp.sol",
      "contracts/DstackKms.sol",
    ]);
    for (const layout of [
      "AppAuthV042",
      "DstackAppV054",
      "DstackAppV059",
      "KmsAuthV042",
      "DstackKmsV054",
      "DstackKmsV059",
    ])
      expect(paths).to.include(`contracts/testing/layouts/${layout}.sol`);
    for (const path of paths.filter((path) => /\.(?:js|d\.ts)$/.test(path)))
      expect(readFileSync(join(installed, path), "utf8"), path).to.not.match(/from ["'][^"']+\.ts["']/);
  });

  it("is small", () => {
    console.log(`      ${kilobytes(tarball.size)} packed, ${kilobytes(tarball.unpackedSize)} unpacked`);
    expect(tarball.size).to.be.lessThan(1200 * 1024);
  });

  it("has a file for every export and command", () => {
    const targets = [...targetsOf(manifest.exports), ...targetsOf(manifest.bin)];
    const missing = targets.filter((target) => !existsSync(join(installed, target.split("*")[0] ?? target)));
    expect(targets.length).to.be.greaterThan(10);
    expect(missing).to.deep.equal([]);
  });

  it("has only optional peers, except viem", () => {
    const optional = Object.entries(manifest.peerDependenciesMeta ?? {}).filter(([, meta]) => meta.optional === true);
    const peers = Object.keys(manifest.peerDependencies ?? {}).filter((name) => name !== "viem");
    expect(optional.map(([name]) => name).sort()).to.deep.equal(peers.sort());
  });

  it("compiles in strict mode in an empty TypeScript project, with the examples of the docs", () => {
    run(consumer, [commandOf("typescript", "tsc"), "-p", "."]);
  });

  it("runs in that project", () => {
    expect(run(consumer, ["out/main.js"])).to.include("consumer ok");
  });

  it("allows a Hardhat project to build and extend its contracts", () => {
    run(consumer, [commandOf("hardhat", "hardhat"), "build"]);
    const artifact = join(consumer, "artifacts", "contracts", "CountingApp.sol", "CountingApp.json");
    const { abi } = JSON.parse(readFileSync(artifact, "utf8")) as { abi: { name?: string }[] };
    expect(abi.map(({ name }) => name)).to.include.members(["count", "addComposeHash", "isAppAllowed"]);
    expect(readdirSync(join(consumer, "artifacts", "dstack-toolkit", "contracts"))).to.include("DstackKms.sol");
  });

  it("allows the example project to test its own contract, in TypeScript and in Solidity", () => {
    const { devDependencies } = JSON.parse(readFileSync(join(example, "package.json"), "utf8")) as PackageManifest;
    install(
      example,
      Object.keys(devDependencies).filter((name) => name !== "dstack-toolkit"),
    );
    const output = run(example, [commandOf("hardhat", "hardhat"), "test"]);
    expect(output).to.include("5 passing (3 solidity, 2 mocha)");
    expect(output).to.include("lets a version boot once its notice is over");
    run(example, [commandOf("typescript", "tsc"), "-p", "."]);
  });

  describe("in a Hardhat project with the plugin alone", () => {
    const hardhat = (...args: string[]) => [commandOf("hardhat", "hardhat"), "dstack", ...args];
    let world: ChildProcess;
    let exited: Promise<unknown[]>;
    let environment: Record<string, string>;

    before(async () => {
      const args = hardhat("up", "--json", "--chain-port=0", "--cloud-port=0");
      world = spawn(process.execPath, args, {
        cwd: consumer,
        env: ownEnvironment(),
        stdio: ["ignore", "pipe", "inherit"],
      });
      exited = once(world, "exit");
      const [line] = (await once(world.stdout?.setEncoding("utf8") ?? world, "data")) as [string];
      environment = (JSON.parse(line) as { environment: Record<string, string> }).environment;
    });
    after(() => world.kill("SIGKILL"));

    /** A task as a user types it, with the output of `dstack up` in the environment. */
    function runTask(...args: string[]) {
      const { ETH_RPC_URL = "", PRIVATE_KEY = "" } = environment;
      const env = { ...ownEnvironment(), ...environment, WORLD_RPC_URL: ETH_RPC_URL, MY_KEY: PRIVATE_KEY };
      const command = [...hardhat(...args), "--network", "world"];
      const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: consumer, env, encoding: "utf8" });
      return { status, stdout, stderr };
    }
    const json = (...args: string[]) => {
      const { status, stdout, stderr } = runTask(...args, "--json");
      expect([status, stderr], stdout).to.deep.equal([0, ""]);
      return JSON.parse(stdout);
    };

    it("starts a local world", async () => {
      const answer = await fetch(`${environment.PHALA_CLOUD_API_PREFIX}/cvms/${environment.ONCHAIN_CVM}`, {
        headers: { "x-api-key": environment.PHALA_CLOUD_API_KEY ?? "" },
      });
      expect(await answer.json()).to.include({ name: "onchain-app", status: "running" });
    });

    it("shows an app, its history, its owner and whether it boots", () => {
      expect(json("status", "--cvm", "onchain-app")).to.deep.include({
        chainId: 8453,
        completeness: { isComplete: true },
      });
      expect(json("history", "--cvm", "onchain-app").changes).to.have.length.greaterThan(2);
      expect(json("owner", "show", "--cvm", "onchain-app")).to.have.nested.property("owner.kind", "eoa");
      expect(json("boot-check", "--cvm", "onchain-app")).to.include({ wouldBoot: true });
      expect(runTask("status", "--cvm", "onchain-app").stdout).to.include("runs on onchain-app");
    });

    it("changes what the app allows, with the key that the project names", () => {
      const composeHash = createHash("sha256").update("a document").digest("hex");
      const added = runTask("hash", "add", composeHash, "--cvm", "onchain-app", "--yes");
      expect(added.status, added.stderr).to.equal(0);
      expect(json("status", "--cvm", "onchain-app").composeHashes).to.have.lengthOf(2);
    });

    it("reports a fault in one sentence, without a stack trace", () => {
      for (const [args, status] of [
        [["status", "--app", "0x12"], 2],
        [["status"], 2],
        [["status", "--cvm", "unknown"], 4],
        [["boot-check", "--cvm", "onchain-app", "--os-image", "12".repeat(32)], 6],
      ] as const) {
        const told = runTask(...args);
        expect(told.status, args.join(" ")).to.equal(status);
        expect(told.stderr.replace(/\n +/g, " ")).to.match(status === 6 ? /^$/ : /^DSTK-\d{4} .+\n.+\n$/);
      }
    });

    it("has help with an example for every task", () => {
      const overview = run(consumer, hardhat());
      const tasks = [...overview.matchAll(/^ {2}(dstack [a-z0-9 -]+?) {2,}/gm)].map(([, name = ""]) => name);
      expect(tasks).to.include.members(["dstack status", "dstack prune", "dstack boot-check"]);
      expect(overview).to.include("Example: npx hardhat dstack status");
      expect(run(consumer, hardhat("owner", "transfer", "--help"))).to.include(
        "Example: npx hardhat dstack owner transfer",
      );
    });

    it("stops the world on a signal", async () => {
      world.kill("SIGTERM");
      expect(await exited).to.deep.equal([0, null]);
    });
  });

  it("starts the mock cloud as a command and stops it on a signal", async () => {
    const path = join(installed, manifest.bin?.["dstack-toolkit"] ?? "");
    expect(readFileSync(path, "utf8")).to.match(/^#!\/usr\/bin\/env node\n/);
    const server = spawn(process.execPath, [path, "mock-cloud", "--port=0", "--quiet"], {
      cwd: consumer,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(server, "exit");
    const [line] = (await once(server.stdout.setEncoding("utf8"), "data")) as [string];
    const { url } = JSON.parse(line) as { url: string };
    expect((await fetch(`${url}/api/v1/auth/me`)).status).to.equal(401);
    server.kill("SIGTERM");
    expect(await exited).to.deep.equal([0, null]);
  });

  it("does not export internal files", () => {
    const probe = 'import("dstack-toolkit/dist/core/hex.js").catch((error) => console.log(error.code))';
    expect(run(consumer, ["-e", probe])).to.include("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  function pack(): Tarball {
    const { command, args } = npmCommand(["pack", "--json", "--ignore-scripts", "--pack-destination", directory]);
    const packed = spawnSync(command, args, { cwd: root, encoding: "utf8" });
    expect(packed.status, packed.stderr).to.equal(0);
    const [report] = JSON.parse(packed.stdout) as Tarball[];
    if (report === undefined) throw new Error(packed.stdout);
    return report;
  }

  /** The result of `npm install`, with packages that our lock file has already installed in place of a download. */
  function install(project: string, ofTheUser: readonly string[]): void {
    const target = join(project, "node_modules", "dstack-toolkit");
    mkdirSync(target, { recursive: true });
    const unpacked = spawnSync("tar", ["-xzf", join("..", tarball.filename), "--strip-components=1", "-C", target], {
      cwd: project,
      encoding: "utf8",
    });
    expect(unpacked.status, unpacked.stderr).to.equal(0);
    const packed = JSON.parse(readFileSync(join(target, "package.json"), "utf8")) as PackageManifest;
    const names = [...Object.keys(packed.dependencies), ...Object.keys(packed.peerDependencies ?? {}), ...ofTheUser];
    for (const name of new Set(names)) {
      const link = join(project, "node_modules", name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(root, "node_modules", name), link, "junction");
    }
  }
});

function run(cwd: string, args: readonly string[]): string {
  const env = ownEnvironment();
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, env, encoding: "utf8" });
  expect(status, `${args.join(" ")}\n${stdout}${stderr}`).to.equal(0);
  return stdout;
}

/** Of the README and of every page that is shipped beside it. */
function documentedExamples(): string[] {
  const examples = ["README.md", ...filesBelow("docs", ".md")].flatMap((page) =>
    [...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code),
  );
  expect(examples.length).to.be.greaterThan(2);
  return examples;
}

/** Hardhat hands its options, our config file among them, to child processes in variables. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const strangers = Object.entries(process.env).filter(([name]) => !/^(?:HARDHAT|HH|npm)_/.test(name));
  return { ...Object.fromEntries(strangers), HARDHAT_DISABLE_TELEMETRY: "true" };
}

function targetsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(targetsOf) : [];
}

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1024)} kB`;
}
