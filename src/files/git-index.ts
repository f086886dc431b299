import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";

/** Whether a file is one of a repository's: on the list of what git keeps, whatever became of it since the checkout. */
export function isTrackedByGit(path: string): boolean {
  const directory = realpathSync(dirname(resolve(path)));
  const name = basename(path);
  // The settings of the repository itself may not start a program.
  const { status, error } = spawnSync(
    "git",
    ["-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", "--", `:(literal,icase)${name}`],
    { cwd: directory, env: withoutRepository(process.env), stdio: "ignore", windowsHide: true, timeout: 10_000 },
  );
  return error === undefined ? status === 0 : isInIndex(join(directory, name));
}

/** A hook of another repository names that one to every program it starts. */
function withoutRepository(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("GIT_")));
}

/** Where git is not installed, as in small containers: its index names each file by its whole path, ended by a zero. */
function isInIndex(path: string): boolean {
  for (let root = dirname(path); ; root = dirname(root)) {
    const index = indexOf(join(root, ".git"));
    if (index !== undefined) return index.includes(`${relative(root, path).split(sep).join("/")}\0`);
    if (root === dirname(root)) return false;
  }
}

function indexOf(dotGit: string): Buffer | undefined {
  if (!existsSync(dotGit)) return undefined;
  try {
    return readFileSync(join(dotGit, "index"));
  } catch {
    // A worktree's or submodule's `.git` is a file that says where its folder is.
    const [, folder] = /^gitdir: (.+)$/m.exec(readText(dotGit)) ?? [];
    const index = folder && join(resolve(dirname(dotGit), folder), "index");
    return index && existsSync(index) ? readFileSync(index) : Buffer.alloc(0);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // a folder: a repository without an index tracks nothing
  }
}
