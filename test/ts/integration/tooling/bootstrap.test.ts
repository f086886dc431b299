import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect } from "chai";
import { root } from "../../../../scripts/support/paths.ts";
import { runCommand } from "../../../../scripts/support/run-command.ts";
import { folderOf, pinnedNode, startRegistry } from "../../../support/scripts/registry.ts";

// A checkout of its own, in a folder with a space: scripts/run.mjs, an installed tsx and a program that tells what it
// was given. `beforehand` makes the running Node look too old, and the memo says where the newer one is.
describe("scripts/run.mjs", () => {
  const checkout = mkdtempSync(join(tmpdir(), "run mjs "));
  const beforehand = join(checkout, "beforehand.cjs");
  const lock = '{ "lockfileVersion": 3 }\n';

  before(() => {
    for (const folder of ["scripts", "cache", "node_modules"]) mkdirSync(join(checkout, folder));
    for (const file of ["run.mjs", "npm.mjs"]) cpSync(join(root, "scripts", file), join(checkout, "scripts", file));
    for (const name of ["tsx", "esbuild", "get-tsconfig", "@esbuild"])
      symlinkSync(join(root, "node_modules", name), join(checkout, "node_modules", name), "junction");
    const { platform, arch, execPath, versions } = process;
    writeFileSync(join(checkout, "package.json"), '{ "type": "module" }\n');
    writeFileSync(join(checkout, "package-lock.json"), lock);
    writeFileSync(
      join(checkout, "node_modules", ".installed-for"),
      createHash("sha256")
        .update(lock)
        .update(`${versions.node.split(".")[0]} ${platform} ${arch}`)
        .digest("hex"),
    );
    const pins = join(checkout, "scripts", "pins", "node");
    mkdirSync(pins, { recursive: true });
    const runtime = pinnedNode({ version: "1.0.0", integrity: "sha512-unused" });
    writeFileSync(join(pins, "package.json"), runtime.manifest);
    writeFileSync(join(pins, "package-lock.json"), runtime.lock);
    const bin = join(checkout, "cache", folderOf(runtime.lock), "node_modules", "a-node", "bin");
    mkdirSync(bin, { recursive: true });
    symlinkSync(execPath, join(bin, "node"));
    writeFileSync(beforehand, 'Object.defineProperty(process.versions, "node", { value: "20.20.2" });\n');
    writeFileSync(
      join(checkout, "tell.ts"),
      `const [, , ...args]: string[] = process.argv;
       console.log(JSON.stringify({ args, node: process.versions.node, path: process.env.PATH }));
       process.exitCode = Number(args[0]);`,
    );
    writeFileSync(
      join(checkout, "wait.ts"),
      `process.on("SIGTERM", () => { console.log("stopped"); process.exit(0); });
       const onPipe: string = "ready";
       console.log(onPipe);
       setTimeout(() => {}, 10_000);`,
    );
  });
  after(() => rmSync(checkout, { recursive: true }));

  for (const [where, preload] of [
    ["in this Node", []],
    ["in a newer one than the Node it was started with", ["--require", beforehand]],
  ] as const)
    describe(`runs a program ${where}`, () => {
      it("with unchanged arguments and its exit code", async () => {
        const args = ["7", "a b", "$HOME", '"', "--flag=*"];
        const { code, output } = await start([...preload, "scripts/run.mjs", "tell.ts", ...args]);
        expect(code).to.equal(7);
        const told = JSON.parse(output) as { args: string[]; node: string; path: string };
        expect(told).to.include({ node: process.versions.node });
        expect(told.args).to.deep.equal(args);
        if (preload.length > 0) {
          const [first = "", ...rest] = told.path.split(delimiter);
          expect(realpathSync(join(first, "node"))).to.equal(realpathSync(process.execPath));
          expect(rest).to.deep.equal([join(checkout, "empty")]);
        }
      });

      it("and passes a signal on, so that it can clean up", async () => {
        const child = spawn(process.execPath, [...preload, "scripts/run.mjs", "wait.ts"], {
          cwd: checkout,
          stdio: ["ignore", "pipe", "inherit"],
        });
        const exited = once(child, "exit");
        let output = "";
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          output += text;
          if (text.includes("ready")) child.kill("SIGTERM");
        });
        expect(await exited).to.deep.equal([0, null]);
        expect(output).to.equal("ready\nstopped\n");
      });
    });

  describe("fetches the newer Node", () => {
    /** A checkout without a newer Node, whose lock pins version 1.0.0, and a registry that has 2.0.0 as well. */
    async function fetchNode(tamper: (archive: Buffer) => Buffer = (archive) => archive) {
      const folder = mkdtempSync(join(tmpdir(), "fetch node "));
      const marker = join(folder, "a script ran");
      const registry = await startRegistry({ marker, tamper });
      try {
        const pins = join(folder, "scripts", "pins", "node");
        mkdirSync(pins, { recursive: true });
        for (const file of ["run.mjs", "npm.mjs"]) cpSync(join(root, "scripts", file), join(folder, "scripts", file));
        const runtime = pinnedNode({ version: "1.0.0", integrity: registry.integrity });
        writeFileSync(join(pins, "package.json"), runtime.manifest);
        writeFileSync(join(pins, "package-lock.json"), runtime.lock);
        const env = {
          ...process.env,
          npm_config_registry: registry.url,
          npm_config_cache: join(folder, "npm"),
          npm_config_ignore_scripts: "false",
          npm_config_fetch_retries: "0",
        };
        const args = ["--require", beforehand, "scripts/run.mjs", "hardhat", "--version"];
        const outcome = await runCommand({ command: process.execPath, args, cwd: folder, env, output: "keep" });
        const left = readdirSync(join(folder, "cache"));
        return { ...outcome, lock: runtime.lock, left, fetched: registry.archives, ranScript: existsSync(marker) };
      } finally {
        await registry.close();
        rmSync(folder, { recursive: true });
      }
    }

    it("of the version that the lock pins, and runs no script of its package", async () => {
      const { output, lock, left, fetched, ranScript } = await fetchNode();
      expect(output).to.include("Fetching a-node 1.0.0").and.to.include("this is a-node 1.0.0: ");
      expect({ left, fetched, ranScript }).to.deep.equal({
        left: [folderOf(lock)],
        fetched: ["1.0.0"],
        ranScript: false,
      });
    });

    it("and refuses one whose archive has another checksum", async () => {
      const { code, output, left } = await fetchNode((archive) => Buffer.concat([archive, Buffer.from("more")]));
      expect(code).to.equal(1);
      expect(output).to.include("npm could not fetch the Node that").and.to.not.include("this is a-node");
      expect(left).to.deep.equal([]);
    });
  });

  describe("installs the dependencies", () => {
    let folder: string;
    let env: NodeJS.ProcessEnv;

    // This npm fails while another one runs, as `npm ci` does, and needs some time.
    const npm = `
      import { appendFileSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
      if (existsSync("installing")) process.exit(1);
      writeFileSync("installing", "");
      appendFileSync("runs", "run\\n");
      console.log("npm's own words");
      rmSync("node_modules", { recursive: true, force: true });
      await new Promise((resolve) => setTimeout(resolve, existsSync("hang") ? 30_000 : 700));
      mkdirSync("node_modules/@esbuild", { recursive: true });
      for (const name of ["tsx", "esbuild", "get-tsconfig"])
        symlinkSync(${JSON.stringify(join(root, "node_modules"))} + "/" + name, "node_modules/" + name, "junction");
      rmSync("installing");
    `;

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), "install once "));
      mkdirSync(join(folder, "scripts"));
      for (const file of ["run.mjs", "npm.mjs"]) cpSync(join(root, "scripts", file), join(folder, "scripts", file));
      cpSync(join(checkout, "package.json"), join(folder, "package.json"));
      writeFileSync(join(folder, "package-lock.json"), lock);
      writeFileSync(join(folder, "tell.ts"), 'const words: string = "ready"; console.log(words);');
      writeFileSync(join(folder, "npm-cli.js"), npm);
      env = { ...process.env, npm_execpath: join(folder, "npm-cli.js") };
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    const run = async () => {
      const child = spawn(process.execPath, ["scripts/run.mjs", "tell.ts"], { cwd: folder, env });
      let stdout = "";
      child.stdout.setEncoding("utf8").on("data", (words: string) => {
        stdout += words;
      });
      const [code] = await once(child, "close");
      return { code, stdout };
    };
    const countRuns = () => readFileSync(join(folder, "runs"), "utf8").trim().split("\n").length;

    it("once, where several commands start at the same time, and the others wait", async () => {
      const outcomes = await Promise.all([run(), run(), run()]);
      expect(outcomes).to.deep.equal(Array(3).fill({ code: 0, stdout: "ready\n" }));
      expect(countRuns()).to.equal(1);
    });

    it("again after a command that was killed during it, without waiting", async () => {
      writeFileSync(join(folder, "hang"), "");
      const child = spawn(process.execPath, ["scripts/run.mjs", "tell.ts"], {
        cwd: folder,
        env,
        detached: true, // so that its npm is killed with it
        stdio: ["ignore", "ignore", "pipe"],
      });
      for await (const words of child.stderr.setEncoding("utf8")) if (words.includes("npm's own words")) break;
      process.kill(-(child.pid ?? expect.fail("not started")), "SIGKILL");
      rmSync(join(folder, "hang"));
      rmSync(join(folder, "installing"));
      expect(await run()).to.deep.equal({ code: 0, stdout: "ready\n" });
      expect(countRuns()).to.equal(2);
    });
  });

  it("prints the usage without a program", async () => {
    const { code, output } = await start(["scripts/run.mjs"]);
    expect(code).to.equal(1);
    expect(output).to.match(/^Usage: /);
  });

  function start(args: readonly string[]) {
    const env = { ...process.env, PATH: join(checkout, "empty") };
    return runCommand({ command: process.execPath, args, cwd: checkout, env, output: "keep" });
  }
});
