import {
  type Alias,
  Composer,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  Parser,
  Scalar,
  type YAMLMap,
} from "yaml";
import { InvalidAppComposeError } from "../errors/index.ts";
import { findRejected, readPlainScalar, readTime, withoutAddedLineEnd } from "./go-yaml.ts";

/** Maximum number of characters and values that the aliases of a file may expand to: 20 times the longest file. */
const maximumExpansion = 4_000_000;

/**
 * Line ends of YAML 1.1, which Docker's parser uses. Text that YAML 1.2 reads as a comment can be a service for Docker.
 */
const lineEnds = /\r(?!\n)|[\u0085\u2028\u2029]/;

// Our parser accepts these characters. The parser on the CVM rejects the file, after the update was paid for.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern searches for them
const unreadable = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/;

/**
 * YAML's own tags, each with the scalars that every parser reads in the same way. Docker rejects `!!bool yes`, which is
 * text here. `!!binary` is text for Docker and bytes here. With `!reset`, Docker leaves a node out.
 */
const plainScalars: Readonly<Record<string, RegExp>> = {
  str: /^/,
  int: /^(?:0|-?[1-9]\d*)$/,
  float: /^-?\d+\.\d+$/,
  bool: /^(?:true|false)$/,
  null: /^(?:null|~)?$/,
};

/**
 * Parses a docker compose file to the value that Docker Compose reads, with aliases and merge keys resolved. Rejects
 * everything that the two parsers would read differently. So the checks here see the services that Docker runs.
 *
 * @throws InvalidAppComposeError with line and column
 */
export function parseComposeYaml(text: string): unknown {
  return readComposeYaml(text).value;
}

export interface ComposeYaml {
  readonly value: unknown;
  /** Returns where a key or an item is in the text, or the nearest place above it that is there. */
  readonly locate: (path: readonly string[]) => ComposePosition;
  /** Tells whether Docker reads a plain text as a time. */
  readonly isTime: (path: readonly string[]) => boolean;
}

export interface ComposePosition {
  readonly line: number;
  readonly column: number;
}

/** Reads a docker compose file as `parseComposeYaml` does, and keeps the positions. */
export function readComposeYaml(text: string): ComposeYaml {
  refuseCharacter(text, unreadable, "a control character, which YAML does not allow");
  refuseCharacter(text, /\p{Cs}/u, "half of a surrogate pair, which is not valid text");
  refuseCharacter(text, lineEnds, "a character that some YAML readers treat as a line end (CR, NEL, LS or PS)");
  try {
    const lines = new LineCounter();
    const document = composeOne(text, lines);
    const reading = new NodeReader(lines, text).read(document.contents);
    return {
      value: reading.value,
      locate: (path) => positionOf(lines, find(reading, path).key),
      isTime: (path) => isTime(find(reading, path).reading),
    };
  } catch (cause) {
    if (cause instanceof InvalidAppComposeError) throw cause;
    throw invalidCompose("cannot be read as YAML", {}, cause); // such as nesting deeper than the stack
  }
}

export function invalidCompose(problem: string, context: Readonly<Record<string, unknown>>, cause?: unknown) {
  return new InvalidAppComposeError(`The docker compose file ${problem}.`, {
    nextStep: "Correct the docker compose file; `docker compose config` shows how Docker reads it.",
    context,
    ...(cause !== undefined && { cause }),
  });
}

function refuseCharacter(text: string, pattern: RegExp, what: string): void {
  const index = text.search(pattern);
  if (index < 0) return;
  const line = text.slice(0, index).split("\n").length;
  throw invalidCompose(`contains ${what}, in line ${line}`, { line });
}

/** Parses a file of exactly one YAML document. Docker merges several documents by rules of its own for every key. */
function composeOne(text: string, lines: LineCounter): Document {
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  // Docker resolves merge keys (<<), which YAML 1.2 does not have.
  const options = { merge: true, uniqueKeys: false, logLevel: "silent" } as const; // NodeReader checks the keys
  const documents = [...new Composer(options).compose(tokens, true, text.length)];
  const [error] = documents.flatMap(({ errors }) => errors);
  if (error !== undefined) {
    const { where, ...position } = locate(lines, error.pos[0]);
    throw invalidCompose(`is not valid YAML at ${where} (${error.code})`, { ...position, problem: error.code });
  }
  const directive = tokens.find(({ type }) => type === "directive");
  if (directive !== undefined) {
    const { where, ...position } = locate(lines, directive.offset);
    throw invalidCompose(`has a directive (%) at ${where}, which YAML readers interpret differently`, position);
  }
  const [document, second] = documents;
  if (second !== undefined) {
    const { line } = locate(lines, second.range[0]);
    const problem = `contains ${documents.length} YAML documents, which Docker Compose would merge`;
    throw new InvalidAppComposeError(`The docker compose file ${problem}; the second begins at line ${line}.`, {
      nextStep: "Put everything into one document. `docker compose config` prints the merged file.",
      context: { documents: documents.length, line },
    });
  }
  if (document === undefined) throw invalidCompose("cannot be read as YAML", {});
  const rejected = findRejected(text, tokens, document);
  if (rejected === undefined) return document;
  const { where, ...position } = locate(lines, rejected.offset);
  throw invalidCompose(`has ${rejected.what}, at ${where}`, position);
}

function find(root: Reading, path: readonly string[]) {
  let key = root.node;
  let reading = root;
  for (const part of path) {
    const entry = reading.entries?.get(part);
    const inner = entry?.reading ?? reading.items?.[Number(part)];
    if (inner === undefined) return { key, reading: undefined };
    reading = inner;
    key = entry?.key ?? inner.node;
  }
  return { key, reading };
}

function positionOf(lines: LineCounter, node: unknown): ComposePosition {
  const { line, column } = locate(lines, (isNode(node) && node.range?.[0]) || 0);
  return { line, column };
}

function locate(lines: LineCounter, offset: number) {
  const { line, col: column } = lines.linePos(offset);
  return { where: `line ${line}, column ${column}`, line, column };
}

interface Reading {
  readonly node: unknown;
  readonly value: unknown;
  /** Characters and values, with aliases expanded. */
  readonly weight: number;
  /** Only for a sequence. */
  readonly items?: readonly Reading[];
  /** Only for a mapping: its own entries and the merged ones. */
  readonly entries?: ReadonlyMap<string, Entry>;
}

interface Entry {
  readonly key: unknown;
  readonly reading: Reading;
}

/**
 * Reads the nodes of a document in text order, in which an alias refers to the last anchor of its name before it. The
 * parser's own conversion searches all anchors for every alias, and limits the number of uses instead of the expanded
 * size.
 */
class NodeReader {
  readonly #lines: LineCounter;
  readonly #text: string;
  /** Undefined while the anchor's own node is being read. */
  readonly #anchors = new Map<string, Reading | undefined>();
  /** Total weight of all aliases read so far. */
  #expansion = 0;

  constructor(lines: LineCounter, text: string) {
    this.#lines = lines;
    this.#text = text;
  }

  read(node: unknown): Reading {
    if (!isNode(node)) return { node, value: null, weight: 1 }; // a key without a value
    if (isAlias(node)) return this.#readAlias(node);
    this.#requirePlainTag(node, hasPlainTag(node));
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, undefined);
    const reading = this.#readContent(node);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, reading);
    return reading;
  }

  #readAlias(alias: Alias): Reading {
    if (!this.#anchors.has(alias.source)) this.#refuse(alias, "an alias to an undefined anchor");
    const reading = this.#anchors.get(alias.source) ?? this.#refuse(alias, "an alias inside its own anchor");
    this.#expansion += reading.weight;
    if (this.#expansion > maximumExpansion) this.#refuse(alias, "aliases that expand to too much text");
    return reading;
  }

  #readContent(node: Exclude<Node, Alias>): Reading {
    if (isMap(node)) return this.#readMapping(node);
    if (isScalar(node)) return { node, value: this.#readScalar(node), weight: 1 + (node.source?.length ?? 0) };
    const items = node.items.map((item) => this.read(item));
    return { node, value: items.map(({ value }) => value), weight: 1 + sum(items), items };
  }

  #readScalar(node: Scalar): unknown {
    if (!isPlain(node)) return withoutAddedLineEnd(node, this.#text);
    const value = readPlainScalar(node.source ?? "");
    if (typeof value === "number" && !Number.isFinite(value)) this.#refuse(node, "a number that is not finite");
    return value;
  }

  #readMapping(node: YAMLMap): Reading {
    const readings: Reading[] = [];
    const entries = new Map<string, Entry>();
    let merged: readonly Reading[] | undefined;
    for (const { key, value } of node.items) {
      const isMerge = isMergeKey(key);
      if (isMerge) this.#requirePlainTag(key, hasPlainMergeTag(key));
      const name = isMerge ? undefined : this.read(key);
      const reading = this.read(value);
      readings.push(reading, ...(name === undefined ? [] : [name]));
      if (name === undefined) {
        if (merged !== undefined) this.#refuse(key, "a second merge key (<<) in one mapping, but YAML allows only one");
        merged = reading.items ?? [reading];
        if (!merged.every((source) => isMap(source.node))) {
          this.#refuse(key, "a merge key (<<) whose value is not a mapping");
        }
      } else {
        // Docker rejects such keys. Here, 1 and "1" would become the same key.
        if (typeof name.value !== "string" || isTime(name))
          return this.#refuse(key, "a key that is not text (write it in quotes)");
        if (entries.has(name.value)) return this.#refuse(key, "a repeated key");
        entries.set(name.value, { key, reading });
      }
    }
    for (const source of merged ?? []) {
      for (const [key, entry] of source.entries ?? []) if (!entries.has(key)) entries.set(key, entry);
    }
    const values = [...entries].map(([key, { reading }]) => [key, reading.value]);
    return { node, value: Object.fromEntries(values), weight: 1 + sum(readings), entries };
  }

  #requirePlainTag(node: Node, isPlain: boolean): void {
    if (!isPlain) this.#refuse(node, "a tag that Docker and other YAML readers interpret differently");
  }

  #refuse(node: unknown, what: string): never {
    const { where, ...position } = locate(this.#lines, (isNode(node) && node.range?.[0]) || 0);
    throw invalidCompose(`has ${what}, at ${where}`, position);
  }
}

function sum(readings: readonly Reading[]): number {
  return readings.reduce((total, { weight }) => total + weight, 0);
}

function isPlain({ type, tag }: Scalar): boolean {
  return type === Scalar.PLAIN && tag === undefined;
}

/** Docker's parser reads a plain time as a value of its own. */
function isTime(reading: Reading | undefined): boolean {
  return isScalar(reading?.node) && isPlain(reading.node) && readTime(reading.node.source ?? "") !== undefined;
}

function isMergeKey(key: unknown): key is Scalar {
  if (!isScalar(key)) return false;
  return typeof key.value === "symbol" || (key.value === "<<" && key.type === Scalar.PLAIN);
}

const yamlTag = "tag:yaml.org,2002:";

function hasPlainTag(node: Exclude<Node, Alias>): boolean {
  if (node.tag === undefined) return true;
  if (isMap(node)) return node.tag === `${yamlTag}map`;
  if (!isScalar(node)) return node.tag === `${yamlTag}seq`;
  if (!node.tag.startsWith(yamlTag)) return false;
  const name = node.tag.slice(yamlTag.length);
  return Object.hasOwn(plainScalars, name) && plainScalars[name]?.test(node.source ?? "") === true;
}

/**
 * Tells whether a merge key (`<<`) has no tag or the tag `!!merge`. Docker reads `!!str <<` as a normal key of that
 * name.
 */
function hasPlainMergeTag(key: Scalar): boolean {
  if (key.tag === undefined) return true;
  return key.tag === `${yamlTag}merge` && key.type === Scalar.PLAIN && key.source === "<<";
}

/**
 * Returns the services of a docker compose file by name, each with its parsed settings.
 *
 * @throws InvalidAppComposeError if the text is not a compose file, or Docker Compose would read it differently
 */
export function readComposeServices(text: string): Readonly<Record<string, unknown>> {
  return servicesOf(parseComposeYaml(text));
}

/** @throws InvalidAppComposeError if a parsed file has no services */
export function servicesOf(file: unknown): Readonly<Record<string, unknown>> {
  const services = isMapping(file) ? file.services : undefined;
  if (!isMapping(services)) throw invalidCompose("has no mapping named services", {});
  if (Object.keys(services).length === 0) throw invalidCompose("has no service", {});
  return services;
}

/**
 * Checks that a text is a docker compose file: one YAML document with at least one service. The text itself is never
 * rewritten.
 *
 * @throws InvalidAppComposeError with line and column if the YAML itself is invalid
 */
export function checkDockerCompose(text: string): void {
  readComposeServices(text);
}

/** Returns a field of a mapping, or an item of a list by its index. Undefined if there is none. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name] // hasOwn was checked
    : undefined;
}

export function entriesOf(value: unknown): [string, unknown][] {
  return isMapping(value) ? Object.entries(value) : [];
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
