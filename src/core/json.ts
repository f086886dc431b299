import {
  createScanner,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
  type SyntaxKind,
} from "jsonc-parser";
import { InvalidAppComposeError } from "../errors/index.ts";

/** A value that JSON can hold. Members that are `undefined` are left out when written, as by `JSON.stringify`. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A parsed JSON text that keeps what `JSON.parse` drops: number lexemes, key order and positions. */
export type JsonNode =
  | { readonly kind: "string"; readonly value: string; readonly offset: number }
  | { readonly kind: "number"; readonly lexeme: string; readonly offset: number }
  | { readonly kind: "literal"; readonly value: boolean | null; readonly offset: number }
  | { readonly kind: "array"; readonly items: readonly JsonNode[]; readonly offset: number }
  | JsonObjectNode;

export interface JsonObjectNode {
  readonly kind: "object";
  /** In the order of first appearance. A repeated key keeps its last value, as in every JSON library. */
  readonly members: ReadonlyMap<string, JsonNode>;
  readonly repeatedKeys: readonly { readonly key: string; readonly offset: number }[];
  readonly offset: number;
}

// Deeper than any real manifest, and shallow enough for recursive functions over the tree.
const maximumDepth = 200;
// Values of jsonc-parser's ambient const enum, which erasable TypeScript may not read.
const opening: readonly SyntaxKind[] = [1, 3];
const closing: readonly SyntaxKind[] = [2, 4];
const endOfFile: SyntaxKind = 17;

const problems: Readonly<Record<string, string>> = {
  InvalidSymbol: "is not a JSON value",
  InvalidNumberFormat: "is not a number",
  PropertyNameExpected: "must be a key in double quotes",
  ValueExpected: "must be a value",
  ColonExpected: "must be a colon",
  CommaExpected: "must be a comma",
  CloseBraceExpected: "must be a closing brace",
  CloseBracketExpected: "must be a closing bracket",
  EndOfFileExpected: "must be the end of the document",
  InvalidCommentToken: "is a comment, which JSON does not have",
  UnexpectedEndOfString: "is a string without a closing quote on its line",
  UnexpectedEndOfNumber: "is an unfinished number",
  InvalidUnicode: "contains an invalid \\u escape",
  InvalidEscapeCharacter: "contains an invalid escape",
  InvalidCharacter: "contains a control character that must be escaped",
};

/**
 * Parses strict JSON (no comments, no trailing commas) and keeps everything that hashes depend on. Does not use
 * `JSON.parse`: in current V8 it can read a key that contains an escape as another key (nodejs/node#63785).
 *
 * @throws InvalidAppComposeError with line and column of the first problem
 */
export function parseJsonTree(text: string): JsonNode {
  refuseDeepNesting(text);
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false });
  const first = errors[0];
  if (first !== undefined || root === undefined) {
    const code = first === undefined ? "ValueExpected" : printParseErrorCode(first.error);
    throw jsonProblem(text, first?.offset ?? 0, problems[code] ?? "is not JSON");
  }
  return convert(root, text);
}

/** The plain value of a tree, as `JSON.parse` would give it. */
export function toJsonValue(node: JsonNode): JsonValue {
  switch (node.kind) {
    case "object":
      return toJsonObject(node);
    case "array":
      return node.items.map(toJsonValue);
    case "number":
      return Number(node.lexeme);
    default:
      return node.value;
  }
}

export function toJsonObject(node: JsonObjectNode): JsonObject {
  return Object.fromEntries(Array.from(node.members, ([key, value]) => [key, toJsonValue(value)]));
}

/** Creates an error with the line and column of the problem. It does not quote the document. */
export function jsonProblem(text: string, offset: number, problem: string): InvalidAppComposeError {
  const before = text.slice(0, offset).split("\n");
  const line = before.length;
  const column = (before.at(-1) ?? "").length + 1;
  return new InvalidAppComposeError(`The text at line ${line}, column ${column} of the app-compose ${problem}.`, {
    nextStep: "Correct the document at this position.",
    context: { line, column, problem },
  });
}

function refuseDeepNesting(text: string): void {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (let token = scanner.scan(); token !== endOfFile; token = scanner.scan()) {
    if (opening.includes(token)) depth++;
    if (closing.includes(token)) depth--;
    if (depth > maximumDepth) {
      throw jsonProblem(text, scanner.getTokenOffset(), `is nested more than ${maximumDepth} levels deep`);
    }
  }
}

function convert(node: Node, text: string): JsonNode {
  const { offset } = node;
  switch (node.type) {
    case "string":
      return { kind: "string", value: node.value, offset };
    case "number":
      return { kind: "number", lexeme: text.slice(offset, offset + node.length), offset };
    case "array":
      return { kind: "array", items: (node.children ?? []).map((item) => convert(item, text)), offset };
    case "object":
      return convertObject(node, text);
    default:
      return { kind: "literal", value: node.value, offset };
  }
}

function convertObject(node: Node, text: string): JsonObjectNode {
  const members = new Map<string, JsonNode>();
  const repeatedKeys: { key: string; offset: number }[] = [];
  for (const property of node.children ?? []) {
    const [key, value] = property.children ?? [];
    if (key === undefined || value === undefined) continue; // only in a text with errors, which is rejected above
    if (members.has(key.value)) repeatedKeys.push({ key: key.value, offset: key.offset });
    members.set(key.value, convert(value, text));
  }
  return { kind: "object", members, repeatedKeys, offset: node.offset };
}

/** JSON with keys sorted at every depth, four spaces of indentation and no space after a colon. */
export function writeCanonicalJson(value: JsonValue): string {
  return write(value, "\n");
}

function write(value: JsonValue, lineBreak: string): string {
  const inner = `${lineBreak}    `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[${inner}${value.map((item) => write(item, inner)).join(`,${inner}`)}${lineBreak}]`;
  }
  if (isJsonObject(value)) {
    const members = writeMembers(value, inner);
    return members.length === 0 ? "{}" : `{${inner}${members.join(`,${inner}`)}${lineBreak}}`;
  }
  return JSON.stringify(value);
}

function writeMembers(object: JsonObject, lineBreak: string): string[] {
  const members: string[] = [];
  for (const key of Object.keys(object).sort(compareAsJavaScript)) {
    const value = object[key];
    if (value !== undefined) members.push(`${JSON.stringify(key)}:${write(value, lineBreak)}`);
  }
  return members;
}

// Largest integer that JavaScript treats as an array index, and therefore lists before all other keys of an object.
const largestArrayIndex = 2 ** 32 - 2;

/**
 * Compares keys in the order in which a JavaScript object lists keys that were added sorted: array indices by value,
 * then other keys by UTF-16 code unit.
 */
export function compareAsJavaScript(a: string, b: string): number {
  const first = isArrayIndex(a);
  const second = isArrayIndex(b);
  if (first && second) return Number(a) - Number(b);
  if (first !== second) return first ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}

/** Compares keys by code point, as Python and Go do. Astral characters therefore sort after all others. */
export function compareCodePoints(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    const difference = codePoint(left, index) - codePoint(right, index);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function isArrayIndex(key: string): boolean {
  return /^(0|[1-9]\d{0,9})$/.test(key) && Number(key) <= largestArrayIndex;
}

function codePoint(characters: readonly string[], index: number): number {
  return characters[index]?.codePointAt(0) ?? 0;
}
