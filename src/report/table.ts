import Table from "cli-table3";

export interface TableRows {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
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
export function formatTable({ head, rows }: TableRows): string {
  const table = new Table({
    head: [...head],
    chars: { ...noLines, middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
