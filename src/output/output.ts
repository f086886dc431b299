import { styleText } from "node:util";
import { SingleBar } from "cli-progress";
import Table from "cli-table3";
import { printable } from "../core/text.ts";
import { formatDuration } from "./format.ts";
import { widthOf, wrapText } from "./wrap.ts";

export interface TableRows {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Characters per line. Below the rows of a wider table stand their long values, or each row is a block. @default no limit */
  readonly width?: number | undefined;
}

const noLines = Object.fromEntries(
  [
    ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"],
    ...["left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
  ].map((name) => [name, ""]),
);

/**
 * A table as text. Columns are never truncated, so that the user can copy a hash. It has no lines and no colours
 * (cli-table3's heads are red), so it reads the same in a terminal, a file and a pipe.
 */
export function formatTable({ head, rows, width }: TableRows): string {
  const lines = layOut({ head, rows });
  const fits = (text: readonly string[]) => width === undefined || text.every((line) => line.length <= width);
  if (width === undefined || fits(lines)) return lines.join("\n");
  const short = head.flatMap((_, index) => (rows.some((row) => holdsValue(row[index])) ? [] : index));
  const pick = (cells: readonly string[]) => short.map((index) => cells[index] ?? "");
  const [top = "", ...others] = short.length === 0 ? [] : layOut({ head: pick(head), rows: rows.map(pick) });
  if (others.length !== rows.length || !fits([top, ...others]))
    return rows.map((row) => wrapText(formatBlock(head, row), width)).join("\n\n");
  const blocks = rows.map((row, index) => {
    const values = formatBlock(head, withoutColumns(row, short)).replace(/^/gm, "    ");
    return `${others[index]}\n${wrapText(values, width)}`;
  });
  return [...(top === "" ? [] : [top]), ...blocks].join("\n");
}

function layOut({ head, rows }: TableRows): readonly string[] {
  const table = new Table({
    head: [...head],
    chars: { ...noLines, middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  table.push(...rows.map((row) => [...row]));
  const lines = table.toString().split("\n");
  return lines.map((line) => line.trimEnd());
}

/** Whether a cell has an address, a hash or something as long: a narrow terminal shows it below the row. */
function holdsValue(cell = ""): boolean {
  return /\S{42}/.test(cell);
}

function withoutColumns(row: readonly string[], columns: readonly number[]): readonly string[] {
  return row.map((cell, index) => (columns.includes(index) ? "" : cell));
}

/** One row, a line per column. */
function formatBlock(head: readonly string[], row: readonly string[]): string {
  const labels = Math.max(0, ...head.map((label, index) => (row[index] ? label.length : 0)));
  const lines = row.map((cell, index) =>
    head[index] === "" ? cell : `${(head[index] ?? "").padEnd(labels)}  ${cell}`,
  );
  return lines.filter((_, index) => row[index] !== "").join("\n");
}

/**
 * Output for people: one stream and one layout, with colour only on a terminal. Lines are as long as the terminal is
 * wide, or 80 characters; only values to copy are longer. Text may come from anywhere and cannot control the terminal.
 */
export interface Output {
  title(text: string): void;
  /** An action and its result. */
  step(what: string, outcome: string, durationMs?: number): void;
  /** A part of the step that follows. */
  detail(what: string, outcome: string, durationMs?: number): void;
  /** @param hang column of continuation lines, if the line is too long. See `wrapText` */
  line(text?: string, hang?: number): void;
  /** Rows under heads. If the terminal is too narrow, long values stand below their row. */
  table(rows: Omit<TableRows, "width">): void;
}

type Style = Parameters<typeof styleText>[0];

const labelWidth = 22;

export function createOutput(stream: NodeJS.WritableStream): Output {
  guardOutput(stream);
  const styled = (style: Style, text: string) => styleText(style, text, { stream, validateStream: true });
  const write = (text: string) => stream.write(`${text}\n`);
  const wrap = (text: string, hang?: number) => wrapText(printable(text), widthOf(stream), hang);
  const entry = (mark: Style, sign: string, what: string, outcome: string, durationMs: number | undefined) => {
    const time = durationMs === undefined ? "" : `  ${formatDuration(durationMs)}`;
    const start = `  ${sign} `;
    const label = what.padEnd(labelWidth);
    const hang = start.length + labelWidth + 1;
    const text = wrap(`${start}${label} ${outcome}${time}`, hang).slice(start.length);
    write(`  ${styled(mark, sign)} ${mark === "dim" ? styled("dim", text) : text}`);
  };
  return {
    title: (text) => write(`\n${styled("bold", wrap(text))}`),
    step: (what, outcome, durationMs) => entry("green", "✓", what, outcome, durationMs),
    detail: (what, outcome, durationMs) => entry("dim", "·", what, outcome, durationMs),
    line: (text = "", hang) => write(wrap(text, hang)),
    table: (rows) => write(printable(formatTable({ ...rows, width: widthOf(stream) }))),
  };
}

/** Streams that already have the error listener. A process has few streams and may create many outputs for them. */
const guarded = new WeakSet<NodeJS.WritableStream>();

/**
 * Keeps a failing output from stopping work halfway, for example between a transaction and its receipt. A reader that
 * closes early (`| head`) is no error. A full disk is reported once, and the process then ends with exit code 1.
 */
export function guardOutput(stream: NodeJS.WritableStream): void {
  if (guarded.has(stream)) return;
  guarded.add(stream);
  let isReported = false;
  stream.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    if (code === "EPIPE" || isReported) return;
    isReported = true;
    process.exitCode ||= 1;
    if (stream !== process.stderr) process.stderr.write(`Not all of the output was written: ${message}\n`);
  });
}

/** A progress bar for long work. */
export interface Progress {
  update(done: number, total: number, note?: string): void;
  /** Removes the bar. */
  stop(): void;
}

/** Draws on a terminal only. Otherwise it prints nothing, so that logs and pipes contain only results. */
export function createProgress(what: string, stream: NodeJS.WritableStream): Progress {
  if (!("isTTY" in stream && stream.isTTY === true)) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar({
    format: `${what} {bar} {percentage}% {note}`,
    stream,
    clearOnComplete: true,
    hideCursor: false,
    barsize: 30,
    barCompleteChar: "=",
    barIncompleteChar: "-",
  });
  return {
    update: (done, total, note = "") => {
      if (!bar.isActive) bar.start(total, done, { note });
      bar.setTotal(total);
      bar.update(done, { note });
    },
    stop: () => bar.stop(),
  };
}
