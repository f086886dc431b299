import { InvalidAppComposeError } from "../../errors/index.ts";
import { type ComposeYaml, checkDockerCompose, fieldOf, readComposeYaml, servicesOf } from "../docker-compose.ts";
import { cleanText } from "../text.ts";
import { isUnknown, resolveTexts, typeAt } from "./interpolation.ts";
import { type FileProblem, findReferenceProblems, readWorkloads } from "./references.ts";
import { findCombinationProblems, findValueProblems } from "./settings.ts";
import { fieldAt } from "./values.ts";

/** Something in a compose file that Docker Compose would reject. */
export interface ComposeProblem {
  /** Place in the file, such as `services.web.ports[0]`. Empty for the file as a whole. */
  readonly path: string;
  /** One clause that names the path, the line and the column. */
  readonly message: string;
  /** Undefined if the file is not YAML at all. */
  readonly line?: number | undefined;
  readonly column?: number | undefined;
  /** Whether only a key is unknown. A version of Docker Compose that is newer than the schema may know it. */
  readonly isUnknownKey: boolean;
}

export interface ValidateDockerComposeOptions {
  /** Reports no unknown keys. For keys that are newer than the schema. */
  readonly acceptUnknownComposeKeys?: boolean | undefined;
}

/**
 * Validates a compose file as Docker Compose would before it starts anything: YAML, the schema of the Compose
 * Specification, the syntax of `${…}`, and references between services, networks, volumes, secrets and configs. Values
 * of variables are not known here, so what depends on one is not judged.
 *
 * @example
 * import { validateDockerCompose } from "dstack-toolkit";
 * import { dockerCompose } from "./app.js";
 * for (const { message } of await validateDockerCompose(dockerCompose)) console.log(message);
 */
export async function validateDockerCompose(
  text: string,
  { acceptUnknownComposeKeys = false }: ValidateDockerComposeOptions = {},
): Promise<readonly ComposeProblem[]> {
  let file: ComposeYaml;
  try {
    file = readComposeYaml(text);
    servicesOf(file.value);
  } catch (error) {
    if (!(error instanceof InvalidAppComposeError)) throw error;
    return [{ ...pick(error.context), path: "", message: error.message, isUnknownKey: false }];
  }
  const { value, problems } = resolveTexts(file);
  // The schema and its validator are loaded only for a command that has a compose file.
  const { findSchemaProblems } = await import("./schema.ts");
  const ofSchema = findSchemaProblems(value).filter(
    ({ path, isUnknownKey, isWrongType }) =>
      isUnknownKey || !isUnknown(fieldAt(value, path)) || (isWrongType && typeAt(path) === undefined),
  );
  const unknownKeys = acceptUnknownComposeKeys ? [] : ofSchema.filter(({ isUnknownKey }) => isUnknownKey);
  const ofTypes = ofSchema.filter(({ isUnknownKey }) => !isUnknownKey);
  // The rest is judged only in a file of the right shape.
  const ofContent = ofTypes.length === 0 ? findContentProblems(value) : [];
  const found = [
    ...[...problems, ...ofTypes, ...ofContent].map((problem) => ({ ...problem, isUnknownKey: false })),
    ...unknownKeys,
  ];
  return found
    .map(({ path, message, isUnknownKey }) => {
      const { line, column } = file.locate(path);
      const place = formatPath(path, value);
      const subject = place === "" ? "the file" : place;
      const where = `line ${line}, column ${column}`;
      return { path: place, message: `${subject} ${message}, at ${where}`, line, column, isUnknownKey };
    })
    .toSorted((one, other) => one.line - other.line || one.column - other.column)
    .slice(0, maximumProblems);
}

/** Problems that are returned, the first in the file. */
const maximumProblems = 1000;

function findContentProblems(file: unknown): readonly FileProblem[] {
  const { workloads, problems } = readWorkloads(file);
  return [
    ...problems,
    ...findValueProblems(file),
    ...findCombinationProblems(workloads),
    ...findReferenceProblems(file, workloads),
  ];
}

/**
 * Requires that Docker Compose would accept a compose file.
 *
 * @throws InvalidAppComposeError that names every problem with its path, line and column
 */
export async function requireValidDockerCompose(
  text: string,
  options: ValidateDockerComposeOptions = {},
): Promise<void> {
  checkDockerCompose(text);
  const problems = await validateDockerCompose(text, options);
  if (problems.length === 0) return;
  const shown = problems.slice(0, maximumShown).map(({ message }) => message);
  const rest = problems.length - shown.length;
  if (rest > 0) shown.push(`and ${rest} more`);
  const areUnknownKeys = problems.every(({ isUnknownKey }) => isUnknownKey);
  throw new InvalidAppComposeError(`The docker compose file is invalid: ${cleanText(shown.join("; "), 2000)}.`, {
    nextStep: areUnknownKeys
      ? "Correct the spelling or the indentation of the key. If a newer Docker Compose knows it, pass `acceptUnknownComposeKeys`."
      : "Correct the docker compose file; `docker compose config` shows how Docker reads it.",
    context: { problems },
  });
}

/** Problems that an error names. */
const maximumShown = 10;

function pick({ line, column }: Readonly<Record<string, unknown>>) {
  return {
    ...(typeof line === "number" && { line }),
    ...(typeof column === "number" && { column }),
  };
}

/** Writes a path as Docker Compose does, with the items of a list in brackets. */
function formatPath(path: readonly string[], file: unknown): string {
  let value = file;
  let text = "";
  for (const part of path) {
    const key = /^[\w-]+$/.test(part) ? part : JSON.stringify(part);
    text += Array.isArray(value) ? `[${part}]` : `${text === "" ? "" : "."}${key}`;
    value = fieldOf(value, part);
  }
  return text;
}
