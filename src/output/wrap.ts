/** Width of output if nothing says how wide the terminal is, as in a file or a pipe. */
const defaultWidth = 80;

/** Characters per line: those of the terminal behind the stream, or 80. */
export function widthOf(stream: NodeJS.WritableStream): number {
  return "columns" in stream && typeof stream.columns === "number" && stream.columns > 0
    ? stream.columns
    : defaultWidth;
}

/** Labels are shorter than this, with their indentation. A longer text before a gap is a value. */
const longestLabel = 40;

/**
 * Breaks lines that are longer than `width` between words. Values without spaces and command lines stay whole, so that
 * they can be copied; only they may be longer. Continuation lines stand below the text after a label, or are indented,
 * so that quoted text cannot look like a line of our own.
 *
 * @param hang column of continuation lines. @default that of the text after the label, else two more than the line's own
 */
export function wrapText(text: string, width: number, hang?: number): string {
  return text
    .split("\n")
    .map((line) => (line.length <= width ? line : wrapLine(line, width, hang)))
    .join("\n");
}

function wrapLine(line: string, width: number, hang: number | undefined): string {
  const indent = / */.exec(line)?.[0] ?? "";
  const label = /^ *\S+(?: \S+)* {2,}/.exec(line)?.[0] ?? "";
  const prefix = label.length < longestLabel ? label : "";
  const column = hang ?? (prefix === "" ? indent.length + 2 : prefix.length);
  const [first = "", ...others] = splitWords(line.slice(Math.max(prefix.length, indent.length)));
  const lines = [`${prefix || indent}${first}`];
  for (const word of others) {
    const joined = `${lines.at(-1)}${word}`;
    if (joined.length <= width) lines[lines.length - 1] = joined;
    else lines.push(" ".repeat(column) + word.trimStart());
  }
  return lines.join("\n");
}

/** Words with the spaces before them. A command line is one word, up to a punctuation mark. */
function splitWords(text: string): string[] {
  return text.match(/\s*npx hardhat (?:\S*[^\s.,;:)] )*\S+|\s*\S+/g) ?? [];
}
