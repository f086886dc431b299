import Table from "cli-table3";

export interface TableRows {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Characters per line of a terminal; a table that is wider is written as one block per row. @default no limit */
  readonly width?: number | undefined;
}

const noLines = Object.fromEntries(
  [
    ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"],
    ...["left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
  ].map((name) => [name, ""]),
);

/**
 * A table as text. Columns are as wide as what they hold: a hash that was cut is a hash nobody can copy. Without lines,
 * and without colours (cli-table3's heads are red), it reads the same in a terminal, a file and a pipe.
 */
export function formatTable({ head, rows, width }: TableRows): string {
  const table = new Table({
    head: [...head],
    chars: { ...noLines, middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  table.push(...rows.map((row) => [...row]));
  const lines = table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
  const isTooWide = width !== undefined && lines.some((line) => line.length > width);
  return isTooWide ? rows.map((row) => formatBlock(head, row)).join("\n\n") : lines.join("\n");
}

/** One row, a line per column. */
function formatBlock(head: readonly string[], row: readonly string[]): string {
  const labels = Math.max(...head.map((label) => label.length));
  const lines = row.map((cell, index) =>
    head[index] === "" ? cell : `${(head[index] ?? "").padEnd(labels)}  ${cell}`,
  );
  return lines.filter((_, index) => row[index] !== "").join("\n");
}

/** Of the terminal behind a stream; undefined for files and pipes. */
export function terminalWidth(stream: NodeJS.WritableStream): number | undefined {
  return "columns" in stream && typeof stream.columns === "number" ? stream.columns : undefined;
}
