/** Streams that have their listener already: a process has few streams and may have many papers. */
const guarded = new WeakSet<NodeJS.WritableStream>();

/**
 * Keeps an output that fails from ending work halfway, between a transaction and its receipt for instance. A reader that
 * leaves early (`| head`) is no fault; a full disk is told once, and the process ends with exit code 1.
 */
export function guardOutput(stream: NodeJS.WritableStream): void {
  if (guarded.has(stream)) return;
  guarded.add(stream);
  let isTold = false;
  stream.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    if (code === "EPIPE" || isTold) return;
    isTold = true;
    process.exitCode ||= 1;
    if (stream !== process.stderr) process.stderr.write(`Not all of the output was written: ${message}\n`);
  });
}
