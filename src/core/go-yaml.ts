import { type CST, type Document, isCollection, isScalar, type Range, Scalar, visit } from "yaml";

// Docker Compose reads YAML with a parser in Go, which differs from ours. This file knows the differences.

/** Something that Docker's parser rejects, or reads in another way than ours. */
export interface Rejected {
  readonly offset: number;
  /** What it is, after "has". */
  readonly what: string;
}

/** Finds the first place that our parser accepts and Docker's parser does not. */
export function findRejected(text: string, tokens: readonly CST.Token[], document: Document): Rejected | undefined {
  const found: Rejected[] = [];
  const refuse = (offset: number, what: string) => void found.push({ offset, what });
  for (const token of tokens) if (token.type === "document") checkKeys(text, token.value, refuse);
  const tabs = new Set(listTabs(text));
  visit(document, {
    Node: (_, node, path) => {
      const { range } = node;
      if (!range) return;
      const isFlow = isCollection(node) && node.flow === true;
      if (isFlow || (isScalar(node) && node.type !== Scalar.PLAIN)) {
        for (const tab of tabs) if (range[0] < tab && tab < range[1]) tabs.delete(tab);
      }
      if ("anchor" in node && node.anchor !== undefined && !/^[!-9;-~]+$/.test(node.anchor)) {
        refuse(range[0], "an anchor with a character that Docker does not accept in its name");
      }
      const isInFlow = path.some((parent) => isCollection(parent) && parent.flow === true);
      if (isScalar(node)) checkScalar(text, node, range, { isInFlow, refuse });
    },
  });
  for (const tab of tabs) refuse(tab, "a tab where YAML allows only spaces");
  return found.toSorted((one, other) => one.offset - other.offset)[0];
}

type Refuse = (offset: number, what: string) => void;

/** Tabs where a line or an item begins. They are allowed inside brackets, quotes and blocks of text. */
function listTabs(text: string): number[] {
  return [...text.matchAll(/^ *(?:[-?] +)*[-?]?\t/gm)].map(({ index, 0: { length } }) => index + length - 1);
}

function checkScalar(
  text: string,
  node: Scalar,
  [start, end]: Range,
  { isInFlow, refuse }: { readonly isInFlow: boolean; readonly refuse: Refuse },
): void {
  const source = text.slice(start, end + 1);
  if (node.type === Scalar.PLAIN && isInFlow && /\?\s/.test(source)) {
    refuse(start, "a question mark before a space in brackets (write the text in quotes)");
  }
  if (isBlock(node) && /^[|>][-+]*(?: [^\n]*)?\n(?: *\n)* *\t/.test(source)) {
    refuse(start, "a block of text that begins with a tab");
  }
}

/** Checks how keys are written. Parsers disagree about keys with `?` and about a `:` on another line. */
function checkKeys(text: string, token: CST.Token | null | undefined, refuse: Refuse): void {
  if (!token || !("items" in token)) return;
  for (const { start, key, sep = [], value } of token.items as readonly CST.CollectionItem[]) {
    const explicit = start.find(({ type }) => type === "explicit-key-ind");
    if (explicit !== undefined) refuse(explicit.offset, "a key that begins with a question mark");
    const at = sep.findIndex(({ type }) => type === "map-value-ind");
    const colon = sep[at];
    if (sep.slice(0, Math.max(at, 0)).some(({ type }) => type === "newline")) {
      refuse(colon?.offset ?? token.offset, "a colon that is not on the line of its key");
    }
    if (colon !== undefined && key?.type === "scalar" && /^[[\]{},]/.test(text.slice(colon.offset + 1))) {
      refuse(colon.offset, "a colon before a bracket or a comma (write a space between them)");
    }
    checkKeys(text, key, refuse);
    checkKeys(text, value, refuse);
  }
}

function isBlock({ type }: Scalar): boolean {
  return type === Scalar.BLOCK_LITERAL || type === Scalar.BLOCK_FOLDED;
}

/** Our parser ends a block of text with a line end also where the file ends without one. */
export function withoutAddedLineEnd(node: Scalar, text: string): unknown {
  const { value, range } = node;
  const isCut = isBlock(node) && range?.[1] === text.length && !text.endsWith("\n");
  return isCut && typeof value === "string" ? value.replace(/\n$/, "") : value;
}

/** Plain numbers without underscores, each with its base. A leading zero alone means base 8, as in YAML 1.1. */
const integers: readonly (readonly [RegExp, number])[] = [
  [/^([-+]?)0[xX]([0-9a-fA-F]+)$/, 16],
  [/^([-+]?)0[bB]([01]+)$/, 2],
  [/^([-+]?)0[oO]?([0-7]+)$/, 8],
  [/^([-+]?)(0|[1-9]\d*)$/, 10],
];

const float = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;
const maximumInteger = 2n ** 64n - 1n;
const minimumInteger = -(2n ** 63n);

const words: Readonly<Record<string, boolean | null>> = {
  ...{ true: true, True: true, TRUE: true, false: false, False: false, FALSE: false },
  ...{ "": null, "~": null, null: null, Null: null, NULL: null },
};

/** Year, month, day, separator, hour, minute, second, fraction, zone. */
const time = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:([Tt]| +)(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d{1,9})?(Z|[-+]\d\d:\d\d)?)?$/;

/**
 * Returns the value of a plain scalar without a tag, as the parser of Docker Compose (Go) reads it: a mixture of YAML
 * 1.1 and 1.2. For example, `010` and `0o10` are 8, `1_000` is 1000, `yes` is text and `2026-1-1` is a time. A time is
 * returned as text with all its parts.
 */
export function readPlainScalar(source: string): string | number | boolean | null {
  const word = Object.hasOwn(words, source) ? words[source] : undefined;
  if (word !== undefined) return word;
  const special = /^([-+]?)\.(?:inf|Inf|INF)$/.exec(source);
  if (special !== null) return special[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (/^\.(?:nan|NaN|NAN)$/.test(source)) return Number.NaN;
  if (source.startsWith(".")) return readFloat(source) ?? source;
  if (!/^[-+\d]/.test(source)) return source;
  return readTime(source) ?? readNumber(source.replaceAll("_", "")) ?? source;
}

function readNumber(text: string): number | undefined {
  for (const [pattern, base] of integers) {
    const [, sign = "", digits = ""] = pattern.exec(text) ?? [];
    if (digits === "") continue;
    const prefix = { 16: "0x", 8: "0o", 2: "0b", 10: "" }[base] ?? "";
    const value = BigInt(`${prefix}${digits}`) * (sign === "-" ? -1n : 1n);
    // Go's integers have 64 bits. Only a decimal number beyond them can still be a float.
    if (value >= minimumInteger && value <= maximumInteger) return Number(value);
  }
  return readFloat(text);
}

function readFloat(text: string): number | undefined {
  const value = float.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}

export function readTime(source: string): string | undefined {
  const [, year, month, day, separator, hour, minute, second, fraction, zone] = time.exec(source) ?? [];
  // A time after a space has no zone, and any other time has one.
  if (year === undefined || (separator !== undefined && separator.startsWith(" ") !== (zone === undefined)))
    return undefined;
  const [first, last] = [[year, month, day] as const, [hour, minute, second] as const].map((parts) =>
    parts.map((part = "0") => part.padStart(2, "0")),
  );
  const text = `${first?.join("-")}T${last?.join(":")}`;
  const read = new Date(`${text}Z`);
  if (Number.isNaN(read.getTime()) || !read.toISOString().startsWith(text)) return undefined; // such as a 13th month
  return `${text}${fraction?.replace(/\.?0*$/, "") ?? ""}${zone === "+00:00" || zone === undefined ? "Z" : zone}`;
}
