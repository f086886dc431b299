import { styleText } from "node:util";
import { SingleBar } from "cli-progress";
import Table from "cli-table3";
import { printable } from "../core/text.ts";
import { formatDuration } from "./format.ts";

export interface TableRows {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Characters per line of the terminal. A wider table is written as one block per row. @default no limit */
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

/** Width of the terminal behind a stream; undefined for files and pipes. */
export function terminalWidth(stream: NodeJS.WritableStream): number | undefined {
  return "columns" in stream && typeof stream.columns === "number" ? stream.columns : undefined;
}

/**
 * Output for people: one stream and one layout, with colour only on a terminal. Text may come from anywhere and cannot
 * control the terminal.
 */
export interface Output {
  title(text: string): void;
  /** An action and its result. */
  step(what: string, outcome: string, durationMs?: number): void;
  /** A part of the step that follows. */
  detail(what: string, outcome: string, durationMs?: number): void;
  line(text?: string): void;
  /** Rows under heads. If the terminal is too narrow, one block per row. */
  table(rows: Omit<TableRows, "width">): void;
}

type Style = Parameters<typeof styleText>[0];

const labelWidth = 22;

export function createOutput(stream: NodeJS.WritableStream): Output {
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
