import { readBody } from "../core/text.ts";
import { CloudProtocolError, isDstackError } from "../errors/index.ts";
import {
  type CloudReply,
  describeRefusal,
  maximumBodyBytes,
  type SentRequest,
  send,
  type Transport,
  unreachable,
  whenAborted,
} from "./http.ts";

// Limits of one stream: the cloud decides what it sends.
const maximumStreamBytes = 1024 * 1024;
const maximumEventLength = 64 * 1024;
/** Ten minutes with an event every five seconds have 120. */
const mostEvents = 1_000;

/** How long a stream may take to end after the caller has read what it needs. */
const lingerMs = 100;

export interface CloudStreamRequest {
  /** Below the base URL, with encoded segments: see `apiPath`. */
  readonly path: string;
  /** Longest time without a byte. */
  readonly idleMs: number;
  /** Longest time for the whole stream. */
  readonly timeoutMs: number;
  /** Closes the stream. */
  readonly signal?: AbortSignal | undefined;
}

/** One message of a stream of server-sent events. */
export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
}

/** An open stream of server-sent events. Loop over it once; the end of the loop closes it. */
export interface CloudStream
  extends AsyncIterable<ServerSentEvent>,
    Pick<CloudReply, "method" | "path" | "status" | "clean"> {}

/**
 * Opens a stream of server-sent events. The loop over it ends when the cloud ends it, and throws when it breaks, falls
 * silent or exceeds a limit. It is never opened again.
 *
 * @throws CloudUnreachableError, CloudProtocolError, CloudResponseError and its subclasses; the signal's reason
 */
export async function openStream(
  { idleMs, timeoutMs, signal: closed, ...request }: CloudStreamRequest & Omit<SentRequest, "method">,
  transport: Transport,
): Promise<CloudStream> {
  const { path } = request;
  const method = "GET";
  const { clean } = transport.secrets;
  const closing = new AbortController();
  const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs), ...(closed ? [closed] : [])]);
  const aborted = whenAborted(signal);
  aborted.catch(() => {}); // after the last race too
  const within = async <Result>(milliseconds: number, work: Promise<Result>): Promise<Result> => {
    const timer = setTimeout(() => closing.abort(new Error(`no byte within ${milliseconds} ms`)), milliseconds);
    return Promise.race([work, aborted]).finally(() => clearTimeout(timer));
  };
  const close = (error: unknown) => {
    closing.abort();
    closed?.throwIfAborted();
    if (isDstackError(error)) return error;
    if (error instanceof RangeError) return new CloudProtocolError(method, path, error.message);
    return unreachable({ method, path }, transport, { error });
  };

  try {
    const headers = { ...request.headers, accept: "text/event-stream", "cache-control": "no-cache" };
    const sent = { ...request, method, headers } as const;
    const response = await within(transport.timeoutMs, send(sent, transport, signal));
    if (response.status !== 200) {
      const text = await within(transport.timeoutMs, readBody(response, maximumBodyBytes));
      throw describeRefusal(sent, transport, response, text).error;
    }
    if (!/^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "")) {
      throw new CloudProtocolError(method, path, "it is no stream of events");
    }
    return { method, path, status: response.status, clean, [Symbol.asyncIterator]: () => read(response) };
  } catch (error) {
    throw close(error);
  }

  async function* read(response: Response): AsyncGenerator<ServerSentEvent> {
    const reader = response.body?.getReader();
    const parser = new EventParser();
    try {
      for (;;) {
        const { value } = (await within(idleMs, reader?.read() ?? Promise.resolve(undefined))) ?? {};
        if (value === undefined) return;
        yield* parser.push(value);
      }
    } catch (error) {
      throw close(error);
    } finally {
      void finish(reader);
    }
  }

  /** Reads the end of the stream, if the cloud ends it now: the connection can then serve the next request. */
  async function finish(reader: ReadableStreamDefaultReader<Uint8Array> | undefined): Promise<void> {
    const timer = setTimeout(() => closing.abort(), lingerMs).unref();
    try {
      while (reader !== undefined && !(await reader.read()).done);
    } catch {
      // Closed by the timer or the caller, or broken: nothing of it is needed any more.
    }
    clearTimeout(timer);
  }
}

/** Parses server-sent events from pieces that may end anywhere. Ignores comments and the fields `id` and `retry`. */
export class EventParser {
  readonly #decoder = new TextDecoder();
  #bytes = 0;
  #events = 0;
  /** The start of a line whose end has not arrived. */
  #rest = "";
  #event = "";
  #data: string[] = [];

  /** @throws RangeError if the stream exceeds a limit */
  push(piece: Uint8Array): ServerSentEvent[] {
    this.#bytes += piece.byteLength;
    if (this.#bytes > maximumStreamBytes) throw new RangeError(`the stream is longer than ${maximumStreamBytes} bytes`);
    const text = this.#rest + this.#decoder.decode(piece, { stream: true });
    // A carriage return at the end may be the first half of a line break.
    const isOpen = text.endsWith("\r");
    const lines = (isOpen ? text.slice(0, -1) : text).split(/\r\n|\r|\n/);
    this.#rest = (lines.pop() ?? "") + (isOpen ? "\r" : "");
    const events = lines.flatMap((line) => this.#takeLine(line) ?? []);
    const pending = this.#data.reduce((length, line) => length + line.length, this.#rest.length);
    if (pending > maximumEventLength) throw new RangeError(`an event is longer than ${maximumEventLength} characters`);
    return events;
  }

  #takeLine(line: string): ServerSentEvent | undefined {
    if (line === "") return this.#finish();
    const [, field = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "event") this.#event = value;
    if (field === "data") this.#data.push(value);
    return undefined;
  }

  #finish(): ServerSentEvent | undefined {
    const event = this.#event || "message";
    const data = this.#data;
    this.#event = "";
    this.#data = [];
    if (data.length === 0) return undefined;
    this.#events += 1;
    if (this.#events > mostEvents) throw new RangeError(`the stream has more than ${mostEvents} events`);
    return { event, data: data.join("\n") };
  }
}
