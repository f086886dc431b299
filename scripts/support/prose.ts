/** Text for people: a comment, a string of several words, or a line of a page. */
export interface Prose {
  readonly kind: "comments" | "messages" | "pages";
  readonly path: string;
  /** The number of its first line, from 1. */
  readonly line: number;
  readonly text: string;
}

const comment = String.raw`(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)`;
const string = String.raw`(?<string>"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')`;
const regularExpression = String.raw`\/(?:[^\/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/`;
const other = String.raw`[\w$]+|[^\s\w$]`;
const token = new RegExp(`\\s*(?:${comment}|${string}|${regularExpression}|${other})`, "y");
const tokenAfterValue = new RegExp(`\\s*(?:${comment}|${string}|${other})`, "y");
// After a value a slash divides. After anything else it begins a regular expression.
const endsValue = /(?<!^(?:return|typeof|case|of|in|yield|await|void))[\w$)\]}"'`]$/;
/** Text of a template, up to its end or the next expression. */
const templateText = /((?:[^`\\$]|\\[\s\S]|\$(?!\{))*)(?:`|\$\{)/y;

/** The lines of a Markdown page, or the comments and messages of TypeScript, JavaScript or Solidity. */
export function proseOf(path: string, content: string): Prose[] {
  if (!path.endsWith(".md")) return proseOfCode(path, content);
  return content
    .split("\n")
    .map((text, index) => ({ kind: "pages" as const, path, line: index + 1, text }))
    .filter(({ text }) => text.trim() !== "");
}

/** Words that hide who acts. */
const vagueWord = /\b(?:(?:no|some|any)body|(?:who|what)ever)\b/gi;

/** The places of vague words in one kind of prose, and their number in 1,000 lines. */
export function countVagueWords(prose: readonly Prose[], kind: Prose["kind"]): { places: string[]; rate: number } {
  const pieces = prose.filter((piece) => piece.kind === kind);
  const lines = pieces.reduce((sum, { text }) => sum + lineCount(text), 0);
  const places = pieces.flatMap(({ path, line, text }) =>
    [...text.matchAll(vagueWord)].map(
      ({ 0: found, index }) => `${path}:${line + lineCount(text.slice(0, index)) - 1}: ${found}`,
    ),
  );
  return { places, rate: lines === 0 ? 0 : (places.length / lines) * 1000 };
}

function lineCount(text: string): number {
  return text.split("\n").length;
}

function proseOfCode(path: string, code: string): Prose[] {
  const found: Prose[] = [];
  let at = 0;
  readCode();
  return found;

  /** Reads to the end, or to the brace that closes an expression of a template. */
  function readCode(): void {
    let depth = 0;
    let previous = "";
    while (at < code.length) {
      const match = take(endsValue.test(previous) ? tokenAfterValue : token);
      if (match === null) return; // white space to the end
      const text = match[0].trimStart();
      const start = at - text.length;
      if (match.groups?.comment !== undefined) keep("comments", start, text);
      else previous = text;
      if (match.groups?.string !== undefined) keep("messages", start, text);
      if (text === "`") readTemplate(start);
      if (text === "{") depth++;
      if (text === "}" && depth-- === 0) return;
    }
  }

  function readTemplate(start: number): void {
    const parts: string[] = [];
    for (let match = take(templateText); match !== null; match = take(templateText)) {
      parts.push(match[1] ?? "");
      if (match[0].endsWith("`")) break;
      readCode();
    }
    keep("messages", start, parts.join("…"));
  }

  function take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = at;
    const match = pattern.exec(code);
    at = match === null ? code.length : pattern.lastIndex;
    return match;
  }

  function keep(kind: Prose["kind"], start: number, text: string): void {
    if (kind === "messages" && !/\p{L}[^\p{L}]*\s[^\p{L}]*\p{L}/u.test(text)) return; // a name or a path
    found.push({ kind, path, line: lineCount(code.slice(0, start)), text });
  }
}
