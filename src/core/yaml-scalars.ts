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
const time = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:([Tt ])(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d{1,9})?(Z|[-+]\d\d:\d\d)?)?$/;

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

function readTime(source: string): string | undefined {
  const [, year, month, day, separator, hour, minute, second, fraction, zone] = time.exec(source) ?? [];
  // A time after a space has no zone, and any other time has one.
  if (year === undefined || (separator !== undefined && (separator === " ") !== (zone === undefined))) return undefined;
  const [first, last] = [[year, month, day] as const, [hour, minute, second] as const].map((parts) =>
    parts.map((part = "0") => part.padStart(2, "0")),
  );
  const text = `${first?.join("-")}T${last?.join(":")}`;
  const read = new Date(`${text}Z`);
  if (Number.isNaN(read.getTime()) || !read.toISOString().startsWith(text)) return undefined; // such as a 13th month
  return `${text}${fraction?.replace(/\.?0*$/, "") ?? ""}${zone === "+00:00" || zone === undefined ? "Z" : zone}`;
}
