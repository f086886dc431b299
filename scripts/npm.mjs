import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Flags for every installation: packages run no scripts, and npm prints only errors. */
export const installFlags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

/**
 * How to start npm without a shell. Without a shell, no argument is split or expanded, and Windows does not need
 * npm.cmd: this Node runs npm's own JavaScript. Under `npm run`, `npm_execpath` is its path. Otherwise it is beside
 * Node, as in every official distribution. `npm` from PATH is the last resort.
 *
 * @param {readonly string[]} args
 * @returns {{ command: string, args: string[] }}
 */
export function npmCommand(args) {
  const cli = findNpmCli();
  return cli === undefined ? { command: "npm", args: [...args] } : { command: process.execPath, args: [cli, ...args] };
}

/** @returns {string | undefined} */
export function findNpmCli() {
  const beside = dirname(process.execPath);
  return [
    process.env.npm_execpath,
    join(beside, "node_modules", "npm", "bin", "npm-cli.js"),
    join(beside, "..", "lib", "node_modules", "npm", "bin", "npm-cli.js"),
  ].find((path) => path !== undefined && basename(path) === "npm-cli.js" && existsSync(path));
}

/**
 * Returns the path of a program that npm distributes as one package per platform. Version and checksum are those in
 * `scripts/pins/<name>/package-lock.json`. Returns undefined if there is no package for this platform, or npm cannot
 * get exactly that one. The folder is named after the lock and moved into place when it is complete.
 *
 * @param {string} name of the folder of pins, and of the package's command
 * @returns {string | undefined}
 */
export function fetchPinned(name) {
  const scripts = dirname(fileURLToPath(import.meta.url));
  const pins = join(scripts, "pins", name);
  const lock = readFileSync(join(pins, "package-lock.json"), "utf8");
  const [path, entry] =
    Object.entries(JSON.parse(lock).packages).find(
      ([, { os, cpu }]) => [os].flat().includes(process.platform) && [cpu].flat().includes(process.arch),
    ) ?? [];
  if (path === undefined) return undefined;
  const digest = createHash("sha256").update(lock).digest("hex").slice(0, 16);
  const folder = join(dirname(scripts), "cache", `pinned-${name}-${digest}`);
  const program = join(folder, path, entry.bin[name]);
  if (existsSync(program)) return program;
  console.error(`Fetching ${path.replace("node_modules/", "")} ${entry.version} through npm (once)…`);
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(pins, file), join(unfinished, file));
  const npm = npmCommand(["ci", "--include=optional", ...installFlags]);
  const { status } = spawnSync(npm.command, npm.args, { cwd: unfinished, stdio: ["inherit", 2, 2] });
  // npm skips an optional package that it cannot get or whose checksum differs, and still reports success.
  const isWhole = status === 0 && existsSync(join(unfinished, path, entry.bin[name]));
  if (isWhole) {
    try {
      renameSync(unfinished, folder);
    } catch (error) {
      if (!existsSync(program)) throw error; // fails if another process was faster
    }
  }
  rmSync(unfinished, { recursive: true, force: true });
  return isWhole ? program : undefined;
}
