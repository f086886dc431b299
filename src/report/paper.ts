import { styleText } from "node:util";
import { printable } from "../core/text.ts";
import { formatDuration } from "./format.ts";
import { guardOutput } from "./guard-output.ts";
import { formatTable, type TableRows, terminalWidth } from "./table.ts";

/**
 * Where reports for people are written: one stream, in one layout, with colour only where it can be seen. Text may be
 * of any origin: it cannot steer the terminal.
 */
export interface Paper {
  title(text: string): void;
  /** Something that was done, and what came of it. */
  step(what: string, outcome: string, durationMs?: number): void;
  /** A part of the step that follows. */
  detail(what: string, outcome: string, durationMs?: number): void;
  line(text?: string): void;
  /** Rows under heads; in a terminal too narrow for them, one block per row. */
  table(rows: Omit<TableRows, "width">): void;
}

type Style = Parameters<typeof styleText>[0];

const labelWidth = 22;

export function createPaper(stream: NodeJS.WritableStream): Paper {
  guardOutput(stream);
  const styled = (style: Style, text: string) => styleText(style, text, { stream, validateStream: true });
  const write = (text: string) => stream.write(`${text}\n`);
  const entry = (mark: string, what: string, outcome: string, durationMs: number | undefined) => {
    const time = durationMs === undefined ? "" : styled("dim", `  ${formatDuration(durationMs)}`);
    write(`  ${mark} ${what.padEnd(labelWidth)} ${outcome}${time}`);
  };
  return {
    title: (text) => write(`\n${styled("bold", printable(text))}`),
    step: (what, outcome, durationMs) => entry(styled("green", "✓"), printable(what), printable(outcome), durationMs),
    detail: (what, outcome, durationMs) =>
      entry(
        styled("dim", "·"),
        styled("dim", printable(what).padEnd(labelWidth)),
        styled("dim", printable(outcome)),
        durationMs,
      ),
    line: (text = "") => write(printable(text)),
    table: (rows) => write(printable(formatTable({ ...rows, width: terminalWidth(stream) }))),
  };
}
