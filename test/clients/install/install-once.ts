import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../scripts/support/paths.ts";

export interface InstallOnceParameters {
  /** Name of the folder below `cache/clients`. */
  readonly name: string;
  /** Everything that decides what is installed: texts of lock files, versions of tools. */
  readonly inputs: readonly string[];
  /** Fills the folder, which is empty then. */
  readonly install: (folder: string) => Promise<void>;
}

/** Installs into a folder of its own unless that was done before from the same inputs. Returns the folder. */
export async function installOnce({ name, inputs, install }: InstallOnceParameters): Promise<string> {
  const folder = join(root, "cache", "clients", name);
  const stamp = join(folder, ".installed-from");
  const wanted = createHash("sha256")
    .update(JSON.stringify([...inputs, process.platform, process.arch]))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return folder;
  console.log(`Installing ${name} (once)…`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await install(folder);
  writeFileSync(stamp, wanted);
  return folder;
}
