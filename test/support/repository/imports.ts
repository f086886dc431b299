import { dirname, posix } from "node:path";

export interface Import {
  /** As written, except that a relative one is a path from the root. */
  readonly target: string;
  readonly isRelative: boolean;
}

// Biome keeps every static import at the start of a line, in double quotes and without a semicolon or quote before
// `from`, so that three expressions see what a parser would.
const patterns = [
  /^(?:import|export)\b[^;"']*?\bfrom\s+"([^"]+)"/gm,
  /^import\s+"([^"]+)"/gm,
  /\b(?:import|require|resolve)\(\s*"([^"]+)"/g,
];

/** What a TypeScript file imports, re-exports, loads lazily or names in an `import("…")` type. */
export function importsOf(path: string, source: string): Import[] {
  return patterns
    .flatMap((pattern) => [...source.matchAll(pattern)])
    .map(([, specifier = ""]) => {
      const isRelative = specifier.startsWith(".");
      return { target: isRelative ? posix.join(dirname(path), specifier) : specifier, isRelative };
    });
}

/** `@scope/name/deep` and `name/deep` without what follows the name. */
export function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
