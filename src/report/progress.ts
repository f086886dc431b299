import { SingleBar } from "cli-progress";

/** A bar for work that takes long. */
export interface Progress {
  update(done: number, total: number, note?: string): void;
  /** Takes the bar away again. */
  stop(): void;
}

/** Draws on a terminal alone; anywhere else it stays silent, so that logs and pipes hold results only. */
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
