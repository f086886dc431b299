import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { expect } from "chai";
import { root } from "../../../../scripts/support/paths.ts";
import { runCommand } from "../../../../scripts/support/run-command.ts";

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
    writeFileSync(join(checkout, "cache", `node-${platform}-${arch}`), execPath);
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
      it("with its arguments as they are and its exit code", async () => {
        const args = ["7", "a b", "$HOME", '"', "--flag=*"];
        const { code, output } = await start([...preload, "scripts/run.mjs", "tell.ts", ...args]);
        expect(code).to.equal(7);
        const told = JSON.parse(output) as { args: string[]; node: string; path: string };
        expect(told).to.include({ node: process.versions.node });
        expect(told.args).to.deep.equal(args);
        if (preload.length > 0)
          expect(told.path).to.equal(dirname(process.execPath) + delimiter + join(checkout, "empty"));
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

  it("says how to use it when nothing is named", async () => {
    const { code, output } = await start(["scripts/run.mjs"]);
    expect(code).to.equal(1);
    expect(output).to.match(/^Usage: /);
  });

  function start(args: readonly string[]) {
    const env = { ...process.env, PATH: join(checkout, "empty") };
    return runCommand({ command: process.execPath, args, cwd: checkout, env, output: "keep" });
  }
});
