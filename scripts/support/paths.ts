import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..");

/** Path of the JavaScript file of a package's command. This Node runs it, without PATH, .cmd files or a shell. */
export function commandOf(packageName: string, command: string): string {
  const directory = join(root, "node_modules", packageName);
  const { bin } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as {
    bin: string | Record<string, string>;
  };
  const path = typeof bin === "string" ? bin : bin[command];
  if (path === undefined) throw new Error(`${packageName} has no command ${command}.`);
  return join(directory, path);
}

/** Files below `directory`, relative to the root, with forward slashes, sorted. */
export function filesBelow(directory: string, ending: string): string[] {
  const absolute = join(root, directory);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(ending))
    .map((path) => `${directory}/${path.replaceAll("\\", "/")}`)
    .sort();
}
