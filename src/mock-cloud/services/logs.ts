import { toIsoTime } from "../clock.ts";
import { InvalidRequestError } from "../errors.ts";
import type { Cvm } from "../store/cvms.ts";
import type { OperationKind } from "../store/operations.ts";
import type { Store } from "../store/store.ts";
import { findContainer } from "./guest.ts";

export interface LogLine {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly text: string;
}

/** What the cloud did with the CVM's guest, oldest first: each operation, and why one failed. */
export function readGuestLog(store: Store, { id }: Cvm): LogLine[] {
  return store.operations.ofCvm(id).flatMap((operation) => {
    const { kind, composeHash, correlationId, startedAt, finishedAt, state, failure } = operation;
    const started = {
      at: startedAt,
      text: `${kind} with compose hash ${composeHash} began, operation ${correlationId}`,
    };
    if (finishedAt === null) return [started];
    return [started, { at: finishedAt, text: `${kind} ${state}${failure === null ? "" : `: ${failure}`}` }];
  });
}

/**
 * One line for each boot of the guest, because no container runs that could write others.
 *
 * @param container id or name of a container
 */
export function readContainerLog(store: Store, { id, instanceId }: Cvm, container: string): LogLine[] {
  return store.operations
    .ofCvm(id)
    .filter(({ kind, state }) => state === "done" && boots.has(kind))
    .flatMap(({ finishedAt, startedAt, composeText }) => {
      const found = findContainer({ instanceId, composeText }, container);
      const text = `${found?.name} of image ${found?.image} would start now. The mock cloud starts no containers.`;
      return found ? [{ at: finishedAt ?? startedAt, text }] : [];
    });
}

const boots: ReadonlySet<OperationKind> = new Set(["create", "update", "start", "restart"]);

export interface LogLimit {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** Number of last lines. */
  readonly tail?: number | undefined;
}

/** @throws InvalidRequestError */
export function selectLines(lines: readonly LogLine[], { since, until, tail }: LogLimit, now: number): LogLine[] {
  const from = since === undefined ? Number.NEGATIVE_INFINITY : parseTime("since", since, now);
  const to = until === undefined ? Number.POSITIVE_INFINITY : parseTime("until", until, now);
  const selected = lines.filter(({ at }) => at >= from && at <= to);
  return tail === undefined ? selected : selected.slice(Math.max(0, selected.length - tail));
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseTime(field: string, raw: string, now: number): number {
  if (/^\d{1,12}(\.\d+)?$/.test(raw)) return Number(raw) * 1000;
  const [, count, unit = ""] = /^(\d{1,9})([smhd])$/.exec(raw) ?? [];
  if (count !== undefined) return now - Number(count) * (unitMs[unit] ?? 0);
  const time = Date.parse(raw);
  if (!Number.isNaN(time)) return time;
  throw new InvalidRequestError(["query", field], "Must be seconds since 1970, an ISO 8601 time, or such as 10m.");
}

export interface LogFormat {
  /** Plain lines. Otherwise each line is JSON with a channel and a Base64 message, as a guest sends it. */
  readonly text: boolean;
  readonly timestamps: boolean;
}

export function writeLines(lines: readonly LogLine[], { text: isPlain, timestamps }: LogFormat): string {
  return lines
    .map(({ at, text }) => {
      const line = `${timestamps ? `${toIsoTime(at)} ` : ""}${text}\n`;
      if (isPlain) return line;
      return `${JSON.stringify({ channel: "stdout", message: Buffer.from(line).toString("base64") })}\n`;
    })
    .join("");
}
