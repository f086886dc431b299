import { compareCodePoints, type JsonNode, parseJsonTree } from "../json.ts";
import type { ComposeHashForm } from "./form.ts";

/** The part of a Go struct field's declaration that decides what is written. */
type GoType = "any" | "flag" | "required flag" | "text" | "required text" | "texts" | "required texts" | GoStruct;
interface GoStruct {
  readonly [field: string]: GoType;
}

const manifest: GoStruct = {
  manifest_version: "any",
  name: "text",
  features: "texts",
  runner: "required text",
  snapshotter: "text",
  docker_compose_file: "text",
  docker_config: { registry: "text", username: "text", token_key: "text" },
  public_logs: "flag",
  public_sysinfo: "flag",
  public_tcbinfo: "flag",
  kms_enabled: "flag",
  gateway_enabled: "flag",
  tproxy_enabled: "flag",
  local_key_provider_enabled: "flag",
  key_provider: "text",
  key_provider_id: "text",
  allowed_envs: "texts",
  no_instance_id: "flag",
  secure_time: "flag",
  requirements: {
    os_version: "text",
    platforms: "required texts",
    tdx_measure_acpi_tables: "flag",
    launch_token_hash: "text",
    health_check: { enabled: "required flag", health_file: "text" },
  },
  bash_script: "text",
  pre_launch_script: "text",
};

/** Written for a required field that the document does not set. */
const zeroValues: Partial<Record<string, string>> = { "required text": '""', "required flag": "false" };

/** Thrown where Go's decoder rejects a value of the wrong type. Caught within this file. */
class TypeMismatch extends Error {}

export const dstackGoForm: ComposeHashForm = {
  name: "dstack-go",
  description: "compact JSON of known fields with < > & escaped, written by GetComposeHash of the dstack SDK for Go",
  normalisation: "optional",
  write(text, { normalise = false } = {}) {
    const root = parseJsonTree(text);
    try {
      const fields = writeFields(root, manifest);
      if (normalise) dropIneffective(fields);
      return encloseSorted(fields);
    } catch (error) {
      if (error instanceof TypeMismatch) return undefined;
      throw error;
    }
  },
};

function dropIneffective(fields: Map<string, string>): void {
  const runner = fields.get("runner");
  if (runner === '"bash"') fields.delete("docker_compose_file");
  if (runner === '"docker-compose"' || runner === '"nerdctl-compose"') fields.delete("bash_script");
}

/** Returns each field's value as JSON. Drops fields that the struct does not declare, as Go does. */
function writeFields(node: JsonNode, declared: GoStruct): Map<string, string> {
  if (node.kind !== "object") throw new TypeMismatch();
  const written = new Map<string, string>();
  for (const [field, type] of Object.entries(declared)) {
    const zero = typeof type === "string" ? zeroValues[type] : undefined;
    if (zero !== undefined) written.set(field, zero);
  }
  for (const [key, value] of node.members) {
    const field = Object.hasOwn(declared, key) ? key : foldCase(key);
    const type = Object.hasOwn(declared, field) ? declared[field] : undefined;
    if (type === undefined || isNull(value)) continue;
    const text = writeValue(value, type);
    if (text === undefined) written.delete(field);
    else written.set(field, text);
  }
  return written;
}

/** Returns `undefined` for an empty value of a field marked omitempty, which Go leaves out. */
function writeValue(node: JsonNode, type: GoType): string | undefined {
  if (typeof type === "object") return encloseSorted(writeFields(node, type));
  switch (type) {
    case "any":
      return writeAny(node);
    case "flag":
    case "required flag":
      if (node.kind !== "literal") throw new TypeMismatch();
      return String(node.value);
    case "text":
    case "required text":
      if (node.kind !== "string") throw new TypeMismatch();
      return node.value === "" && type === "text" ? undefined : quote(node.value);
    case "texts":
    case "required texts":
      if (node.kind !== "array") throw new TypeMismatch();
      if (node.items.length === 0 && type === "texts") return undefined;
      return `[${node.items.map(writeItem).join(",")}]`;
  }
}

function writeItem(node: JsonNode): string {
  if (isNull(node)) return '""';
  if (node.kind !== "string") throw new TypeMismatch();
  return quote(node.value);
}

function writeAny(node: JsonNode): string {
  switch (node.kind) {
    case "string":
      return quote(node.value);
    case "literal":
      return String(node.value);
    case "array":
      return `[${node.items.map(writeAny).join(",")}]`;
    case "object":
      return encloseSorted(new Map(Array.from(node.members, ([key, value]) => [key, writeAny(value)])));
    case "number": {
      const value = Number(node.lexeme);
      if (!Number.isFinite(value)) throw new TypeMismatch();
      return Object.is(value, -0) ? "-0" : String(value);
    }
  }
}

function encloseSorted(members: ReadonlyMap<string, string>): string {
  const sorted = [...members].sort(([a], [b]) => compareCodePoints(a, b));
  return `{${sorted.map(([key, text]) => `${quote(key)}:${text}`).join(",")}}`;
}

/** Go's decoder ignores the letter case of keys. Two letters outside ASCII count as `s` and `k`. */
function foldCase(key: string): string {
  return key
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replaceAll("\u017f", "s")
    .replaceAll("\u212a", "k");
}

/** Go escapes `<`, `>`, `&`, U+2028 and U+2029, and replaces lone surrogates with U+FFFD. */
function quote(text: string): string {
  return JSON.stringify(text.replace(/\p{Cs}/gu, "\ufffd")).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function isNull(node: JsonNode): boolean {
  return node.kind === "literal" && node.value === null;
}
