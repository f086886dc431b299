import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../scripts/support/paths.ts";

/** Every file git tracks or would add, relative to the root, with forward slashes. */
export function repositoryFiles(): string[] {
  const output = execFileSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"],
    {
      cwd: root,
      encoding: "utf8",
    },
  );
  const deleted = execFileSync("git", ["ls-files", "-z", "--deleted"], { cwd: root, encoding: "utf8" }).split("\0");
  return output.split("\0").filter((path) => path !== "" && !deleted.includes(path));
}

export function readText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

export function readJson<Shape>(path: string): Shape {
  return JSON.parse(readText(path)) as Shape; // the caller knows the file
}

export interface PackageManifest {
  readonly name: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { optional?: boolean }>>;
  readonly exports?: Readonly<Record<string, unknown>>;
}
