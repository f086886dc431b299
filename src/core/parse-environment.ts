import { parse } from "dotenv";
import { InvalidEnvironmentError } from "../errors/index.ts";
import { invalidEnvironmentName, isEnvironmentName } from "./environment-name.ts";
import type { EnvironmentVariable } from "./environment-variable.ts";

interface Line {
  readonly number: number;
  readonly text: string;
  /** The name before `=` or `: `, if the line looks like an assignment. It may also be text within a quoted value. */
  readonly name?: string;
}

const assignment = /^\s*(?:export\s+)?([\w.-]+)(?=\s*=|:\s)/;

/**
 * Parses the text of a `.env` file with dotenv's quoting rules, in the order of the file. Nothing is read from disk or
 * from the process environment. Unlike dotenv it refuses lines that set nothing and names that are set twice.
 *
 * @throws InvalidEnvironmentError with the line, never with what stands there
 */
export function parseEnvironment(dotenvText: string): EnvironmentVariable[] {
  const text = dotenvText.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  const values = parse(text);
  const firstLines = new Map<string, number>();
  for (const { number, name } of findAssignments(text)) {
    if (name === undefined) throw malformed(`Line ${number} of the environment file sets nothing.`, { line: number });
    if (!isEnvironmentName(name) || !Object.hasOwn(values, name))
      throw invalidEnvironmentName(`line ${number} of the environment file`, { line: number });
    const earlier = firstLines.get(name);
    if (earlier !== undefined) {
      throw malformed(`Lines ${earlier} and ${number} of the environment file both set ${name}.`, {
        line: number,
        name,
      });
    }
    firstLines.set(name, number);
  }
  return Array.from(firstLines.keys(), (key) => ({ key, value: values[key] ?? "" }));
}

/**
 * The lines that dotenv reads as assignments, and those it would skip in silence; not those within a quoted value.
 * dotenv tells neither lines nor repeats, so every line is given a name of its own: the names dotenv then finds are
 * the lines it starts an assignment at.
 */
function findAssignments(text: string): Line[] {
  const lines = text.split("\n").map(readLine);
  const marked = lines.map(({ number, text: line, name }) => {
    if (isIgnorable(line)) return line;
    return name === undefined ? `LINE_${number}=${line}` : line.replace(assignment, `LINE_${number}`);
  });
  const found = parse(marked.join("\n"));
  return lines.filter(({ number }) => Object.hasOwn(found, `LINE_${number}`));
}

function readLine(text: string, index: number): Line {
  const name = assignment.exec(text)?.[1];
  return { number: index + 1, text, ...(name !== undefined && { name }) };
}

function isIgnorable(line: string): boolean {
  return /^\s*(#|$)/.test(line);
}

function malformed(message: string, context: Readonly<Record<string, unknown>>): InvalidEnvironmentError {
  return new InvalidEnvironmentError(message, {
    nextStep: "Write every line as NAME=value; quote values that span lines.",
    context,
  });
}
