import { type Document, isMap } from "yaml";
import { InvalidAppComposeError } from "../errors/index.ts";
import { parseComposeYaml } from "./parse-compose-yaml.ts";

// Anchors may be used often in an honest file; a bomb multiplies them by the million.
const maximumAliases = 1000;

// Our parser takes them; the one on the CVM refuses the file, once the update is paid for.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unreadable = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;

/**
 * Checks that a text is a docker compose file: YAML with at least one service. The text itself is never rewritten.
 *
 * @throws InvalidAppComposeError with line and column where YAML itself is at fault
 */
export function checkDockerCompose(text: string): void {
  const [before] = text.split(unreadable, 1);
  if (before !== undefined && before.length < text.length) {
    const line = before.split("\n").length;
    throw invalid(`holds a control character in line ${line}, which YAML does not allow`, { line });
  }
  const document = parseYaml(text);
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col: column } = error.linePos?.[0] ?? {};
    const where = line === undefined ? "" : ` at line ${line}, column ${column}`;
    throw invalid(`is not valid YAML${where} (${error.code})`, { line, column, problem: error.code });
  }
  const services = isMap(document.contents) ? expand(document).services : undefined;
  if (typeof services !== "object" || services === null || Array.isArray(services)) {
    throw invalid("has no mapping named services", {});
  }
  if (Object.keys(services).length === 0) throw invalid("has no service", {});
}

function parseYaml(text: string): Document {
  try {
    return parseComposeYaml(text);
  } catch (cause) {
    throw invalid("cannot be read as YAML", {}, cause); // such as nesting beyond the stack
  }
}

function expand(document: Document): { readonly services?: unknown } {
  try {
    return document.toJS({ maxAliasCount: maximumAliases });
  } catch (cause) {
    throw invalid("uses YAML aliases that are unknown or multiply beyond reason", {}, cause);
  }
}

function invalid(problem: string, context: Readonly<Record<string, unknown>>, cause?: unknown) {
  return new InvalidAppComposeError(`The docker compose file ${problem}.`, {
    nextStep: "Correct the docker compose file; `docker compose config` shows what it means.",
    context,
    ...(cause !== undefined && { cause }),
  });
}
