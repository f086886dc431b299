// Runs `hardhat …` or one of our TypeScript files on a machine that has only Node 20 and npm.
//
//   node scripts/run.mjs hardhat <args…>     Hardhat's own command line
//   node scripts/run.mjs <file.ts> <args…>   one file, types stripped by tsx
//
// Hardhat 3 needs Node 22.13 or newer, and a dependency tree installed by an older Node silently lacks
// Hardhat's native engine. So an older Node fetches a newer one through npm, pinned to a checksum, into the
// folder cache (no install script runs) and starts it before anything is installed.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { fetchPinned, findNpmCli, installFlags, npmCommand } from "./npm.mjs";

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const modules = join(root, "node_modules");
const [name, ...args] = process.argv.slice(2);

if (name === undefined) fail("Usage: node scripts/run.mjs hardhat <args…> | <file.ts> <args…>");
else if (isOldNode(process.versions.node)) await handOverToNewerNode();
else await runHere(name);

/** @param {string} version */
function isOldNode(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < 22 || (major === 22 && minor < 13);
}

/** @param {string} program */
async function runHere(program) {
  process.env.HARDHAT_DISABLE_TELEMETRY ??= "true";
  hideSqliteWarning();
  await installOnce();
  const isHardhat = program === "hardhat";
  const entry = isHardhat ? join(modules, "hardhat", "dist", "src", "cli.js") : resolve(root, program);
  process.argv = [process.execPath, entry, ...args];
  if (!isHardhat) {
    const { register } = await import(pathToFileURL(join(modules, "tsx", "dist", "esm", "api", "index.mjs")).href);
    register();
  }
  // The program runs in this process, so signals and exit codes are its own.
  await import(pathToFileURL(entry).href);
}

/**
 * Runs `npm ci`, but only if the lock file, the Node major or the platform changed since the last run. The stamp is in
 * node_modules, which `npm ci` deletes first, so an interrupted run is repeated. NODE_ENV=production or a user's `omit`
 * setting would leave out Hardhat or its engine, hence the two `--include` flags.
 */
async function installOnce() {
  const stamp = join(modules, ".installed-for");
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .update(`${process.versions.node.split(".")[0]} ${process.platform} ${process.arch}`)
    .digest("hex");
  const isInstalled = () => existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
  if (isInstalled()) return;
  const unlock = await lockInstallation();
  try {
    if (isInstalled()) return; // by the command that had the lock
    console.error("Installing the locked dependencies (once)…");
    const npm = npmCommand(["ci", "--include=dev", "--include=optional", ...installFlags]);
    // npm's stdout goes to stderr, so that the program's own output stays clean for `--json` and pipes.
    const { status, error } = spawnSync(npm.command, npm.args, { cwd: root, stdio: ["inherit", 2, 2] });
    if (status !== 0) fail(error ? `npm could not be started: ${error.message}` : "npm ci failed.", status ?? 1);
    writeFileSync(stamp, wanted);
  } finally {
    unlock();
  }
}

/**
 * Waits until no other command installs: two `npm ci` at the same time delete each other's files. SQLite takes a lock
 * of the operating system, which ends with the process that holds it, also if that process is killed.
 *
 * @returns {Promise<() => void>}
 */
async function lockInstallation() {
  const { DatabaseSync } = await import("node:sqlite");
  const path = join(root, "cache", "install.lock");
  mkdirSync(dirname(path), { recursive: true });
  const lock = new DatabaseSync(path);
  const limitMinutes = 15;
  for (const minutes of [0, limitMinutes]) {
    if (minutes > 0) console.error("Waiting until another command has installed the dependencies…");
    try {
      lock.exec(`PRAGMA busy_timeout = ${minutes * 60_000}; BEGIN EXCLUSIVE`);
      return () => lock.close();
    } catch (error) {
      // Some network file systems have no locks; a single command installs there as well.
      if (!String(error).includes("database is locked")) return () => lock.close();
    }
  }
  return fail(`Another command has been installing for ${limitMinutes} minutes. Stop it and try again.`);
}

/** Node 22 prints a warning that its SQLite module is experimental. Node 24 does not. */
function hideSqliteWarning() {
  const { emitWarning } = process;
  process.emitWarning = (warning, ...rest) => {
    if (!String(warning).startsWith("SQLite is an experimental feature"))
      Reflect.apply(emitWarning, process, [warning, ...rest]);
  };
}

async function handOverToNewerNode() {
  const node =
    fetchPinned("node") ??
    fail(
      `Node ${process.versions.node} is too old for Hardhat 3, and npm could not fetch the Node that ` +
        "scripts/pins/node/package-lock.json names, with its checksum, for this machine. " +
        "Install Node 22.13 or newer and try again.",
    );
  const npm = findNpmCli();
  const child = spawn(node, [self, ...process.argv.slice(2)], {
    stdio: "inherit",
    env: {
      ...process.env,
      // Every `node` or `npm` that the program starts must be the new one, first of all `npm ci`.
      PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}`,
      ...(npm === undefined ? {} : { npm_execpath: npm }),
    },
  });
  // On Ctrl-C, a terminal signals the child too. A signal to this process only must be passed on.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.on("SIGHUP", () => child.kill("SIGHUP"));
  child.once("error", (error) => fail(`${node} could not be started: ${error.message}`));
  child.once("exit", (code, signal) => process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message, code = 1) {
  console.error(message);
  process.exit(code);
}
