import type { JsonNode } from "../parse-json-tree.ts";

export interface PythonJsonStyle {
  /** Four spaces a level, or everything on one line. */
  readonly indent: boolean;
  /** What a number beyond the range of a double becomes. */
  readonly infinity: "Infinity" | "null";
}

/**
 * JSON as Python's `json.dumps` writes it with `ensure_ascii=False` and no spaces around separators. Integers are exact,
 * floats keep their point. `undefined` where the text cannot be encoded as UTF-8, which makes Python raise.
 */
export function writePythonJson(node: JsonNode, style: PythonJsonStyle): string | undefined {
  const text = write(node, style, "\n");
  return /\p{Cs}/u.test(text) ? undefined : text;
}

/** A JSON number as Python prints it, `undefined` beyond the range of a double. */
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

/** Python's escapes are JavaScript's, but for lone surrogates, which it leaves as they are. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/\\\\|\\u(d[89a-f][0-9a-f]{2})/g, (match, unit?: string) =>
    unit === undefined ? match : String.fromCharCode(Number.parseInt(unit, 16)),
  );
}
