import { CloudProtocolError } from "../errors/index.ts";
import type { CloudClient } from "./create-client.ts";
import { type CvmRuntimeState, parseCvmState } from "./cvm.ts";
import { apiPath, parseReply } from "./replies.ts";

export interface WatchCvmStateParameters {
  readonly cvm: string;
  /** The status to wait for, such as `running`. */
  readonly target: string;
  /** Longest time between two states, 5 to 30 s. @default 5_000 */
  readonly intervalMs?: number | undefined;
  /** How long to wait, 10 to 600 s. @default 300_000 */
  readonly timeoutMs?: number | undefined;
  /** Closes the stream. */
  readonly signal?: AbortSignal | undefined;
}

/** Intervals without a byte after which the stream counts as broken. */
const silentIntervals = 3;

/**
 * Follows the state of a CVM over the cloud's event stream. Yields each state that the cloud sends. Ends when the CVM
 * has the wanted status and no operation runs, when the time is up, or when the cloud ends the stream.
 *
 * The loop does not say why it ended, and the cloud may refuse streams: ask with `getCvm` afterwards.
 *
 * @throws CloudError, the signal's reason
 *
 * @example
 * import { watchCvmState } from "dstack-toolkit/cloud";
 * import { cloud } from "./app.js";
 * for await (const { status } of watchCvmState(cloud, { cvm: "my-app", target: "running" })) console.log(status);
 */
export async function* watchCvmState(
  client: CloudClient,
  { cvm, target, intervalMs = 5_000, timeoutMs = 300_000, signal }: WatchCvmStateParameters,
): AsyncGenerator<CvmRuntimeState, void, void> {
  const seconds = (milliseconds: number) => `${Math.round(milliseconds / 1000)}`;
  const query = new URLSearchParams({ target, interval: seconds(intervalMs), timeout: seconds(timeoutMs) });
  const stream = await client.stream({
    path: `${apiPath`/cvms/${cvm}/state`}?${query}`,
    idleMs: silentIntervals * intervalMs,
    timeoutMs: timeoutMs + silentIntervals * intervalMs,
    signal,
  });
  for await (const { event, data } of stream) {
    const { method, path, status, clean } = stream;
    if (event === "state" || event === "complete") {
      yield parseReply({ method, path, status, clean, text: data }, (body) => parseCvmState(body, clean));
    }
    if (event === "complete" || event === "timeout") return;
    if (event === "error") throw new CloudProtocolError(method, path, "the stream ends with an error");
  }
}
