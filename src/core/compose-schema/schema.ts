import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import composeSpec from "./compose-spec.json" with { type: "json" };
import { byPlace } from "./interpolation.ts";

/** Something in a compose file that the schema of the Compose Specification does not allow. */
export interface SchemaProblem {
  /** For a key that is not allowed, the path ends with the key. */
  readonly path: readonly string[];
  /** End of a sentence that begins with the path. */
  readonly message: string;
  readonly isUnknownKey: boolean;
  /** Whether the schema allows no value of this type here. Otherwise another value of the type may be allowed. */
  readonly isWrongType: boolean;
}

/** Errors that are described. A wrong mapping that a file repeats by aliases has many more. */
const maximumErrors = 20_000;

let compiled: ValidateFunction | undefined;

/** Validates a parsed compose file against the schema of the Compose Specification. */
export function findSchemaProblems(file: unknown): readonly SchemaProblem[] {
  const options = { allErrors: true, verbose: true, strict: false, validateFormats: false } as const;
  // The schema itself is not validated: its test does that, and a user would wait for it.
  compiled ??= new Ajv2020({ ...options, meta: false, validateSchema: false }).compile(composeSpec);
  if (compiled(file)) return [];
  const found = (compiled.errors ?? [])
    .slice(0, maximumErrors)
    .filter(isFirstHand)
    .map((error) => ({ error, path: pathOf(error) }));
  const withErrorsBelow = new Set(
    found.flatMap(({ path }) => path.map((_, depth) => JSON.stringify(path.slice(0, depth)))),
  );
  const byPath = new Map<string, FoundError[]>();
  for (const one of found) {
    const key = JSON.stringify(one.path);
    if (!withErrorsBelow.has(key)) byPath.set(key, [...(byPath.get(key) ?? []), one]);
  }
  return [...byPath.values()].flatMap(describe);
}

interface FoundError {
  readonly error: ErrorObject;
  readonly path: readonly string[];
}

function pathOf(error: ErrorObject): readonly string[] {
  const parts = error.instancePath.split("/").slice(1);
  const path = parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const key = unknownKeyOf(error);
  return key === undefined ? path : [...path, key];
}

function unknownKeyOf({ keyword, params }: ErrorObject): string | undefined {
  if (keyword === "additionalProperties") return String(params.additionalProperty);
  return keyword === "unevaluatedProperties" ? String(params.unevaluatedProperty) : undefined;
}

/**
 * Tells whether an error is more than a consequence of others. After an error in a service, ajv calls keys unevaluated
 * that the schema knows. Of alternatives that a value does not match, the errors of each are in the list as well.
 */
function isFirstHand(error: ErrorObject): boolean {
  if (error.keyword === "oneOf") return error.params.passingSchemas !== null;
  return (
    error.keyword !== "unevaluatedProperties" || !knownKeys(error.parentSchema).includes(String(unknownKeyOf(error)))
  );
}

/** Lists in which Docker Compose keeps one of equal items, before it applies the schema. */
const mergedLists = [
  ...["annotations", "build.additional_contexts", "build.args", "build.labels", "build.tags", "cap_add", "cap_drop"],
  ...["configs", "deploy.labels", "devices", "dns", "dns_opt", "dns_search", "env_file", "environment", "expose"],
  ...["labels", "links", "networks.*.aliases", "networks.*.link_local_ips", "ports", "profiles", "secrets", "sysctls"],
  ...["tmpfs", "volumes"],
].map((place) => `services.*.${place}`);
const isMerged = byPlace(Object.fromEntries([...mergedLists, "networks.*.labels"].map((place) => [place, true])));

function isMergedList(error: ErrorObject): boolean {
  return error.keyword === "uniqueItems" && isMerged(pathOf(error)) === true;
}

function knownKeys(schema: unknown): string[] {
  if (!isRecord(schema)) return [];
  const own = isRecord(schema.properties) ? Object.keys(schema.properties) : [];
  const parts = Array.isArray(schema.allOf) ? schema.allOf : [];
  return [...own, ...parts.flatMap((part: unknown) => knownKeys(resolveReference(part)))];
}

function resolveReference(schema: unknown): unknown {
  if (!isRecord(schema) || typeof schema.$ref !== "string") return schema;
  const definitions: Readonly<Record<string, unknown>> = composeSpec.$defs;
  return definitions[schema.$ref.replace("#/$defs/", "")];
}

/** Describes the errors of one path. Several errors about types are those of alternatives. */
function describe(group: readonly FoundError[]): SchemaProblem[] {
  const [{ path } = { path: [] }] = group;
  if (group.some(({ error }) => isMergedList(error))) return [];
  const typeErrors = group.filter(({ error }) => error.keyword === "type");
  const others = group.filter(({ error }) => error.keyword !== "type");
  if (others.length === 0) {
    const types = typeErrors.flatMap(({ error }) => [error.params.type].flat().map(String));
    const [section, name = ""] = path;
    const isMisplaced =
      section === "services" && path.length === 2 && knownKeys(composeSpec.$defs.service).includes(name);
    const hint = isMisplaced ? ` (${name} is also a setting of a service: is it indented too little?)` : "";
    return [{ path, message: `must be ${alternatives(types)}${hint}`, isUnknownKey: false, isWrongType: true }];
  }
  return others.map(({ error }) => {
    const key = unknownKeyOf(error);
    const known = knownKeys(error.parentSchema);
    const isUnknownKey = key !== undefined && known.length > 0;
    return {
      path,
      message: isUnknownKey ? unknownKey(key, known) : messageOf(error),
      isUnknownKey,
      isWrongType: false,
    };
  });
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = [1, 2].map((most) =>
    known.find((name) => Math.abs(name.length - key.length) <= most && distance(key, name) <= most),
  );
  const nearest = near[0] ?? near[1];
  return nearest === undefined ? "is not a known key" : `is not a known key (did you mean ${nearest}?)`;
}

/** Counts the characters to insert, remove or replace. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [index, character] of [...one].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= other.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (other[column - 1] === character ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}

const typeNames: Readonly<Record<string, string>> = {
  object: "a mapping",
  array: "a list",
  string: "text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  null: "empty",
};

function alternatives(types: readonly string[]): string {
  const names = [...new Set(types.map((type) => typeNames[type] ?? type))];
  const last = names.pop() ?? "";
  return names.length === 0 ? last : `${names.join(", ")} or ${last}`;
}

const messages: Readonly<Record<string, (params: Readonly<Record<string, unknown>>) => string>> = {
  additionalProperties: () =>
    "is not a name that the Compose Specification allows (letters, digits, dot, dash and underscore)",
  required: ({ missingProperty }) => `has no ${missingProperty}`,
  enum: ({ allowedValues }) => `must be one of ${[allowedValues].flat().join(", ")}`,
  uniqueItems: ({ i, j }) =>
    `has the same item twice, as items ${[Number(i) + 1, Number(j) + 1].toSorted((a, b) => a - b).join(" and ")}`,
  minimum: ({ limit }) => `must be at least ${limit}`,
  maximum: ({ limit }) => `must be at most ${limit}`,
  pattern: () => "is not in the form that the Compose Specification requires",
};

function messageOf({ keyword, params, message = "is not allowed" }: ErrorObject): string {
  return messages[keyword]?.(params) ?? message;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
