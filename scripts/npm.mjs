import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * How to start npm without a shell, so that no argument is ever split or expanded and Windows' npm.cmd is not
 * needed: this Node runs npm's own JavaScript. Under `npm run` its place is in `npm_execpath`; otherwise it lies beside
 * Node, as every official distribution has it. `npm` from PATH is the last resort.
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
