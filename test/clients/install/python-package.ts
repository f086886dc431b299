import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../scripts/support/paths.ts";
import { runCommand } from "../../../scripts/support/run-command.ts";
import { installOnce } from "./install-once.ts";
import { runTool } from "./run-tool.ts";

export interface PythonPackage {
  /** The interpreter of the package's own environment. */
  readonly python: string;
  /** The folder of its modules. */
  readonly sitePackages: string;
}

/**
 * Installs what `pins/python/<name>.txt` lists, to the hash, into an environment of its own. pip resolves nothing: the
 * list is complete but for pysha3, which phala-cloud 0.2.0 demands and no Python since 3.11 can compile.
 *
 * @param python the interpreter `findPython` found
 */
export async function installPythonPackage(python: string, name: string): Promise<PythonPackage> {
  const pins = join(root, "test", "clients", "pins", "python", `${name}.txt`);
  const version = await runTool({ command: python, args: ["--version"] });
  const interpreterOf = (folder: string) =>
    process.platform === "win32" ? join(folder, "Scripts", "python.exe") : join(folder, "bin", "python");
  const folder = await installOnce({
    name: `python-${name}`,
    inputs: [readFileSync(pins, "utf8"), version],
    install: async (folder) => {
      await runTool({ command: python, args: ["-m", "venv", folder] });
      const flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"];
      await runTool({ command: interpreterOf(folder), args: ["-m", "pip", "install", ...flags, "-r", pins] });
    },
  });
  const interpreter = interpreterOf(folder);
  const where = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
  return { python: interpreter, sitePackages: (await runTool({ command: interpreter, args: ["-c", where] })).trim() };
}

/** A Python of at least 3.11 with `venv`, which the pinned packages need; undefined if there is none. */
export async function findPython(): Promise<string | undefined> {
  const test = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
  for (const command of ["python3", "python", "python3.13", "python3.12", "python3.11"]) {
    const { code } = await runCommand({ command, args: ["-c", test], output: "keep" });
    if (code === 0) return command;
  }
  return undefined;
}
