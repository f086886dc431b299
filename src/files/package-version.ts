import { readFileSync } from "node:fs";

/** Version of the package that this file is in: `src/files` and `dist/files` are equally deep. */
export function readPackageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return String(Object(manifest).version);
}
