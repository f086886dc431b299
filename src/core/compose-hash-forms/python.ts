import { compareCodePoints, type JsonNode, type JsonObjectNode, parseJsonTree } from "../json.ts";
import type { ComposeHashForm } from "./form.ts";

// The SDK converts these nested objects to typed ones. It leaves out the listed keys if they are null.
const typedFields: ReadonlyMap<string, readonly string[]> = new Map([
  ["docker_config", ["registry", "username", "token_key"]],
  ["requirements", ["os_version", "platforms", "tdx_measure_acpi_tables", "launch_token_hash", "gpu_policy"]],
]);
// Keys that the SDK's typed object cannot have as attributes.
const reservedKeys: readonly string[] = ["self", "to_dict"];

/**
 * Reproduces the SDK's newest source. Release 0.5.4 differs in three cases: normalising keeps the bash script of a
 * nerdctl-compose app, an unknown key in `docker_config` raises an error, and `requirements` keeps its nulls.
 */
export const dstackPythonForm: ComposeHashForm = {
  name: "dstack-python",
  description: "compact JSON without top-level nulls, written by get_compose_hash of the dstack SDK for Python",
  normalisation: "optional",
  write(text, { normalise = false } = {}) {
    const root = parseJsonTree(text);
    if (root.kind !== "object") return undefined;
    const attributes = readAttributes(root);
    if (attributes === undefined) return undefined;
    if (normalise) dropIneffective(attributes);
    return writePythonJson(sort(objectOf(attributes)), { indent: false, infinity: "null" });
  },
};

function readAttributes(root: JsonObjectNode): Map<string, JsonNode> | undefined {
  const runner = root.members.get("runner");
  const runnerText = runner && printAsPython(runner);
  if (runnerText === undefined || reservedKeys.some((key) => root.members.has(key))) return undefined;
  const attributes = new Map<string, JsonNode>();
  for (const [key, value] of root.members) {
    const optionalKeys = typedFields.get(key);
    const read = optionalKeys === undefined ? value : readTyped(value, optionalKeys);
    if (read === undefined) return undefined;
    if (!key.startsWith("_") && !isNone(read)) attributes.set(key, read);
  }
  return attributes.set("runner", { kind: "string", value: runnerText, offset: 0 });
}

/**
 * Returns `undefined` if the SDK cannot build the typed object. Drops explicit nulls, which equal the default
 * arguments.
 */
function readTyped(value: JsonNode, optionalKeys: readonly string[]): JsonNode | undefined {
  if (value.kind !== "object" || value.members.has("self")) return undefined;
  return objectOf([...value.members].filter(([key, member]) => !(optionalKeys.includes(key) && isNull(member))));
}

/**
 * Returns `str()` of a scalar. Returns `undefined` for a list or an object, whose Python notation is not reproduced.
 */
function printAsPython(node: JsonNode): string | undefined {
  if (node.kind === "string") return node.value;
  if (node.kind === "number") return writePythonNumber(node.lexeme) ?? "None";
  if (node.kind !== "literal") return undefined;
  return node.value === null ? "None" : node.value ? "True" : "False";
}

function dropIneffective(attributes: Map<string, JsonNode>): void {
  const runner = attributes.get("runner");
  const name = runner?.kind === "string" ? runner.value : "";
  if (name === "bash") attributes.delete("docker_compose_file");
  if (name === "docker-compose" || name === "nerdctl-compose") attributes.delete("bash_script");
  const script = attributes.get("pre_launch_script");
  if (script !== undefined && isFalsy(script)) attributes.delete("pre_launch_script");
}

function isFalsy(node: JsonNode): boolean {
  switch (node.kind) {
    case "string":
      return node.value === "";
    case "number":
      return Number(node.lexeme) === 0;
    case "literal":
      return !node.value;
    case "array":
      return node.items.length === 0;
    case "object":
      return node.members.size === 0;
  }
}

function isNull(node: JsonNode): boolean {
  return node.kind === "literal" && node.value === null;
}

/** At the top level, a number outside the range of a double also becomes null. */
function isNone(node: JsonNode): boolean {
  return isNull(node) || (node.kind === "number" && writePythonNumber(node.lexeme) === undefined);
}

function sort(node: JsonNode): JsonNode {
  if (node.kind === "array") return { ...node, items: node.items.map(sort) };
  if (node.kind !== "object") return node;
  const members = [...node.members].sort(([a], [b]) => compareCodePoints(a, b));
  return objectOf(members.map(([key, value]) => [key, sort(value)]));
}

function objectOf(members: Iterable<readonly [string, JsonNode]>): JsonObjectNode {
  return { kind: "object", members: new Map(members), repeatedKeys: [], offset: 0 };
}

export interface PythonJsonStyle {
  /** Four spaces a level, or everything on one line. */
  readonly indent: boolean;
  /** What a number outside the range of a double becomes. */
  readonly infinity: "Infinity" | "null";
}

/**
 * Writes JSON as Python's `json.dumps` does with `ensure_ascii=False` and no spaces around separators. Integers are
 * exact; floats keep their decimal point. Returns `undefined` if the text cannot be encoded as UTF-8, because Python
 * then raises an error.
 */
export function writePythonJson(node: JsonNode, style: PythonJsonStyle): string | undefined {
  const text = write(node, style, "\n");
  return /\p{Cs}/u.test(text) ? undefined : text;
}

/** Returns a JSON number as Python prints it. Returns `undefined` outside the range of a double. */
export function writePythonNumber(lexeme: string): string | undefined {
  if (/^-?\d+$/.test(lexeme)) return lexeme === "-0" ? "0" : lexeme;
  const value = Number(lexeme);
  if (!Number.isFinite(value)) return undefined;
  const [mantissa = "", exponent = "0"] = value.toExponential().split("e");
  const sign = Object.is(value, -0) || value < 0 ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  return sign + placePoint(digits, Number(exponent));
}

/** Python writes an exponent from 1e16 and below 1e-4, always with two digits. */
function placePoint(digits: string, exponent: number): string {
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  const padded = digits.padEnd(exponent + 2, "0");
  return `${padded.slice(0, exponent + 1)}.${padded.slice(exponent + 1)}`;
}

function write(node: JsonNode, style: PythonJsonStyle, lineBreak: string): string {
  const inner = `${lineBreak}    `;
  switch (node.kind) {
    case "object": {
      const members = Array.from(node.members, ([key, value]) => `${quote(key)}:${write(value, style, inner)}`);
      return enclose("{", members, "}");
    }
    case "array":
      return enclose(
        "[",
        node.items.map((item) => write(item, style, inner)),
        "]",
      );
    case "number":
      return (
        writePythonNumber(node.lexeme) ?? (node.lexeme.startsWith("-") ? negative(style.infinity) : style.infinity)
      );
    case "string":
      return quote(node.value);
    case "literal":
      return String(node.value);
  }

  function enclose(open: string, items: readonly string[], close: string): string {
    if (items.length === 0 || !style.indent) return `${open}${items.join(",")}${close}`;
    return `${open}${inner}${items.join(`,${inner}`)}${lineBreak}${close}`;
  }
}

function negative(infinity: string): string {
  return infinity === "null" ? infinity : `-${infinity}`;
}

/** Python escapes strings as JavaScript does, except that it does not escape lone surrogates. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/\\\\|\\u(d[89a-f][0-9a-f]{2})/g, (match, unit?: string) =>
    unit === undefined ? match : String.fromCharCode(Number.parseInt(unit, 16)),
  );
}

export const deploymentGuideForm: ComposeHashForm = {
  name: "deployment-guide",
  description:
    "four spaces of indentation with only the top-level keys sorted, the Python recipe of a deployment guide",
  normalisation: "never",
  write(text) {
    const root = parseJsonTree(text);
    if (root.kind !== "object") return undefined;
    const members = new Map([...root.members].sort(([a], [b]) => compareCodePoints(a, b)));
    return writePythonJson({ ...root, members }, { indent: true, infinity: "Infinity" });
  },
};
