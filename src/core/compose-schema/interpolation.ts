import type { ComposeYaml } from "../docker-compose.ts";

export interface ResolveReturnType {
  /** The file with texts as Docker Compose reads them: `$$` is `$`, and a setting that is a number becomes a number. */
  readonly value: unknown;
  readonly problems: readonly { readonly path: readonly string[]; readonly message: string }[];
}

/** Marks a text with variables. Only an escape in a compose file can be this character, and no program can get it. */
const mark = "\0";

/** Tells whether a resolved value depends on variables, so that only the CVM knows it. */
export function isUnknown(value: unknown): boolean {
  return typeof value === "string" && value.startsWith(mark);
}

/**
 * Reads the variables and the numbers in the texts of a compose file, before it is validated. A text with variables
 * stays as it is, because their values are known only on the CVM.
 */
export function resolveTexts({ value: file, isTime }: Pick<ComposeYaml, "value" | "isTime">): ResolveReturnType {
  const problems: { path: readonly string[]; message: string }[] = [];
  const resolve = (value: unknown, path: readonly string[]): unknown => {
    if (Array.isArray(value)) return value.map((item: unknown, index) => resolve(item, [...path, String(index)]));
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, [...path, key])]));
    }
    if (typeof value !== "string") return value;
    if (isTime(path) && !path.some((part) => part.startsWith("x-"))) {
      problems.push({ path, message: "is a time that Docker writes in another form (write it in quotes)" });
    }
    if (invalidInterpolation(value) !== undefined) {
      problems.push({ path, message: "has a $ that begins no variable (write $$ for a dollar sign)" });
      return mark;
    }
    const literal = literalOf(value);
    const type = typeAt(path);
    if (literal === undefined) return mark + value;
    if (type === undefined) return literal;
    const typed = readers[type](literal);
    if (typed === undefined) problems.push({ path, message: `must be ${names[type]}` });
    return typed ?? mark;
  };
  return { value: resolve(file, []), problems };
}

type SettingType = "integer" | "number" | "boolean" | "mask";

const names: Readonly<Record<SettingType, string>> = {
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  mask: "a file mode, such as 022",
};

const readers: Readonly<Record<SettingType, (text: string) => number | boolean | undefined>> = {
  integer: (text) => (/^[+-]?\d+$/.test(text) ? Number(text) : undefined),
  number: (text) => (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined),
  boolean: (text) => {
    const word = text.toLowerCase();
    if (["true", "y", "yes", "on"].includes(word)) return true;
    return ["false", "n", "no", "off"].includes(word) ? false : undefined;
  },
  mask: (text) => (/^(?:0[oO]?[0-7]+|0|[1-9]\d*)$/.test(text) ? Number(text.replace(/^0[oO]?(?=.)/, "0o")) : undefined),
};

type SettingTypes = Readonly<Record<string, SettingType>>;

// Settings whose texts Docker Compose reads as numbers or as true and false, by their place. `*` is any name or item.
const ofContainers: SettingTypes = {
  cpu_count: "integer",
  cpu_percent: "number",
  cpu_period: "integer",
  cpu_quota: "integer",
  cpu_rt_period: "integer",
  cpu_rt_runtime: "integer",
  cpus: "number",
  cpu_shares: "integer",
  init: "boolean",
  "networks.*.use_service_name_alias": "boolean",
  oom_kill_disable: "boolean",
  oom_score_adj: "integer",
  pids_limit: "integer",
  privileged: "boolean",
  read_only: "boolean",
  umask: "mask",
  "ulimits.*": "integer",
  "ulimits.*.hard": "integer",
  "ulimits.*.soft": "integer",
  "env_file.*.required": "boolean",
  "volumes.*.bind.create_host_path": "boolean",
  "volumes.*.read_only": "boolean",
  "volumes.*.volume.nocopy": "boolean",
};
const ofJobs: SettingTypes = {
  ...ofContainers,
  "build.no_cache": "boolean",
  "build.privileged": "boolean",
  "build.pull": "boolean",
  "depends_on.*.required": "boolean",
  "depends_on.*.restart": "boolean",
  "healthcheck.retries": "integer",
  "healthcheck.disable": "boolean",
  "ports.*.target": "integer",
  stdin_open: "boolean",
  tty: "boolean",
};
const ofServices: SettingTypes = {
  ...ofJobs,
  attach: "boolean",
  "develop.watch.*.exec.privileged": "boolean",
  "post_start.*.privileged": "boolean",
  "pre_stop.*.privileged": "boolean",
  "deploy.replicas": "integer",
  "deploy.update_config.parallelism": "integer",
  "deploy.update_config.max_failure_ratio": "number",
  "deploy.rollback_config.parallelism": "integer",
  "deploy.rollback_config.max_failure_ratio": "number",
  "deploy.restart_policy.max_attempts": "integer",
  "deploy.placement.max_replicas_per_node": "integer",
  scale: "integer",
  ...Object.fromEntries(Object.entries(ofContainers).map(([place, type]) => [`pre_start.*.${place}`, type])),
};
const ofResources: SettingTypes = { external: "boolean" };
const ofNetworks: SettingTypes = {
  ...ofResources,
  internal: "boolean",
  attachable: "boolean",
  enable_ipv4: "boolean",
  enable_ipv6: "boolean",
};
/** Returns what Docker Compose reads the text of a setting as. Undefined for text. */
export const typeAt = byPlace(
  Object.fromEntries(
    Object.entries({
      services: ofServices,
      jobs: ofJobs,
      networks: ofNetworks,
      volumes: ofResources,
      secrets: ofResources,
      configs: ofResources,
    }).flatMap(([section, types]) => Object.entries(types).map(([place, type]) => [`${section}.*.${place}`, type])),
  ),
);

/** Returns the value for the place at which a path is. A place is a text such as `ports.*.target`; `*` is any part. */
export function byPlace<Value>(table: Readonly<Record<string, Value>>): (path: readonly string[]) => Value | undefined {
  interface Node {
    value?: Value;
    readonly inner: Map<string, Node>;
  }
  const root: Node = { inner: new Map() };
  for (const [place, value] of Object.entries(table)) {
    let node = root;
    for (const part of place.split(".")) {
      const next: Node = node.inner.get(part) ?? { inner: new Map() };
      node.inner.set(part, next);
      node = next;
    }
    node.value = value;
  }
  return (path) => {
    let node: Node | undefined = root;
    for (const part of path) node = node?.inner.get(part) ?? node?.inner.get("*");
    return node?.value;
  };
}

/** A variable in a text, such as `$NAME`, `${NAME}` or `${NAME:-default}`. */
interface Variable {
  readonly name: string;
  /** Text after the operator. It may have variables of its own. */
  readonly operand?: string;
}

type Part = { readonly text: string } | { readonly variable: Variable } | { readonly invalid: string };

const nameAt = /[A-Za-z_]\w*/y;
const operatorAt = /:?[-+?]/y;

/** Returns the first place that Docker Compose rejects as an invalid interpolation. Undefined if there is none. */
export function invalidInterpolation(text: string): string | undefined {
  for (const part of partsOf(text)) {
    if ("invalid" in part) return part.invalid;
    if (!("variable" in part) || part.variable.operand === undefined) continue;
    const inner = invalidInterpolation(part.variable.operand);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** Returns the value of a text without variables, with `$$` read as `$`. Undefined if it has variables. */
export function literalOf(text: string): string | undefined {
  let literal = "";
  for (const part of partsOf(text)) {
    if (!("text" in part)) return undefined;
    literal += part.text;
  }
  return literal;
}

/** Splits a text as Docker Compose does. A `$` that begins neither a name nor a brace is text. */
function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let position = 0;
  while (position < text.length) {
    const dollar = text.indexOf("$", position);
    if (dollar !== position) parts.push({ text: text.slice(position, dollar < 0 ? text.length : dollar) });
    if (dollar < 0) break;
    const { part, end } = partAt(text, dollar);
    parts.push(part);
    position = end;
  }
  return parts;
}

function partAt(text: string, dollar: number): { readonly part: Part; readonly end: number } {
  const next = text[dollar + 1];
  if (next === "$") return { part: { text: "$" }, end: dollar + 2 };
  if (next === "{") return bracedAt(text, dollar);
  const name = matchAt(nameAt, text, dollar + 1);
  if (name === undefined) return { part: { text: "$" }, end: dollar + 1 };
  return { part: { variable: { name } }, end: dollar + 1 + name.length };
}

function bracedAt(text: string, dollar: number): { readonly part: Part; readonly end: number } {
  const invalid = { part: { invalid: text.slice(dollar) }, end: text.length };
  const name = matchAt(nameAt, text, dollar + 2);
  if (name === undefined) return invalid;
  const after = dollar + 2 + name.length;
  if (text[after] === "}") return { part: { variable: { name } }, end: after + 1 };
  const operator = matchAt(operatorAt, text, after);
  const close = operator === undefined ? undefined : closingBrace(text, dollar);
  if (operator === undefined || close === undefined) return invalid;
  const operand = text.slice(after + operator.length, close);
  return { part: { variable: { name, operand } }, end: close + 1 };
}

/**
 * Returns where a `${` ends: at the brace that closes it or, without one, at the last brace. Docker Compose searches
 * only the line of the `${`.
 */
function closingBrace(text: string, dollar: number): number | undefined {
  let depth = 0;
  let last: number | undefined;
  for (let index = dollar + 1; index < text.length && text[index] !== "\n"; index++) {
    if (text[index] === "}") last = index;
    if (text[index] === "}" && --depth === 0) return index;
    if (text[index] === "{") {
      depth++;
      index++; // Docker Compose does not look at the character after an opening brace.
      if (text[index] === "}") last = index;
    }
  }
  return last;
}

function matchAt(pattern: RegExp, text: string, index: number): string | undefined {
  pattern.lastIndex = index;
  return pattern.exec(text)?.[0];
}
