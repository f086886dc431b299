import { Readable } from "node:stream";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { parseAppCompose } from "../../core/app-compose.ts";
import type { Clock } from "../clock.ts";
import { ApiError, cvmNotFound } from "../errors.ts";
import { logsPath } from "../http/links.ts";
import { described, refusals } from "../http/schemas.ts";
import { findContainer } from "../services/guest.ts";
import { type LogLine, readContainerLog, readGuestLog, selectLines, writeLines } from "../services/logs.ts";
import type { CvmChanges } from "../services/watch-state.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";

export interface LogRoutesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly changes: CvmChanges;
  /** Ends all streams when the server stops. */
  readonly stopping: AbortSignal;
}

/** Clients send `follow`, `text` and others without a value. */
const flag = z
  .string()
  .optional()
  .transform((value) => value !== undefined && !["false", "0"].includes(value.toLowerCase()));

const logQuery = z.looseObject({
  since: described(z.string().optional(), "Seconds since 1970, an ISO 8601 time, or a duration such as 10m."),
  until: z.string().optional(),
  tail: described(z.coerce.number().int().min(0).optional(), "Number of last lines."),
  lines: z.coerce.number().int().min(0).optional(),
  timestamps: flag,
  follow: described(flag, "Keeps the answer open for new lines."),
  text: described(
    flag,
    "Plain lines. Without it, each line of a container is JSON with a channel and a Base64 message.",
  ),
  bare: flag,
});

/** They need no key, so no user can be held to a number of them. */
const mostFollowers = 50;

/** How often a followed log is read again if nothing is known to have changed. */
const rereadMs = 5000;

/**
 * The logs of a guest and of its containers. They need no API key, because official clients send none here: the owner
 * publishes logs with `public_logs`, and the UUID in the path cannot be guessed.
 */
export const logRoutes: FastifyPluginAsyncZod<LogRoutesOptions> = async (app, { store, clock, changes, stopping }) => {
  let followers = 0;

  for (const [path, params, summary] of [
    [logsPath({ vmUuid: ":vm_uuid" }), z.object({ vm_uuid: z.string() }), "What happened to the guest of a CVM"],
    [
      logsPath({ vmUuid: ":vm_uuid" }, ":container"),
      z.object({ vm_uuid: z.string(), container: z.string() }),
      "The log of a container. No container runs, so the mock cloud writes its lines",
    ],
  ] as const) {
    app.get(
      path,
      {
        schema: {
          tags: ["guest"],
          security: [],
          summary,
          params,
          querystring: logQuery,
          response: { ...refusals, 200: { content: { "text/plain": { schema: z.string() } } } },
        },
      },
      async ({ params, query }, reply) => {
        const cvm = requirePublic(params.vm_uuid);
        const container = "container" in params ? String(params.container) : undefined;
        if (container !== undefined && !findContainer(cvm, container)) {
          throw new ApiError(404, undefined, "The CVM has no container with this id or name.");
        }
        // The guest's messages are on its serial line. It prints nothing on the two other channels.
        const isSilent = container === undefined && ["stdout", "stderr"].includes(String(query.ch));
        const read = () => {
          const now = store.cvms.findHashid(cvm.hashid);
          if (!now || isSilent) return [];
          return container === undefined ? readGuestLog(store, now) : readContainerLog(store, now, container);
        };
        // Official clients print the guest's log as it is, and decode a container's.
        const format = { ...query, text: query.text || container === undefined };
        const print = (lines: readonly LogLine[]) => writeLines(lines, format);
        const limit = { ...query, tail: query.tail ?? query.lines };
        const lines = read();
        const first = selectLines(lines, limit, clock.now());
        reply.type("text/plain; charset=utf-8").header("Cache-Control", "no-store");
        if (!query.follow) return reply.send(print(first));
        if (followers >= mostFollowers) {
          throw new ApiError(429, undefined, `There are ${followers} followed logs already.`, { retryAfterSeconds: 5 });
        }
        followers += 1;
        const gone = new AbortController();
        reply.raw.once("close", () => {
          followers -= 1;
          gone.abort();
        });
        const signal = AbortSignal.any([gone.signal, stopping]);
        const text = follow(cvm.hashid, lines.length, read, print, signal);
        return reply.send(Readable.from(startWith(print(first), text), { objectMode: false }) as never); // a text
      },
    );
  }

  async function* startWith(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
    yield first;
    yield* rest;
  }

  /** @param count lines that the client has already */
  async function* follow(
    hashid: string,
    count: number,
    read: () => LogLine[],
    print: (lines: readonly LogLine[]) => string,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    let sent = count;
    while (!signal.aborted) {
      const pause = new AbortController();
      const wake = () => pause.abort();
      const stopListening = changes.listen(hashid, wake);
      signal.addEventListener("abort", wake);
      await clock.sleep(rereadMs, pause.signal).catch(() => {});
      signal.removeEventListener("abort", wake);
      stopListening();
      const lines = read();
      if (lines.length > sent) yield print(lines.slice(sent));
      sent = Math.max(sent, lines.length);
    }
  }

  /** @throws ApiError 404, or 403 when the owner does not publish the logs */
  function requirePublic(uuid: string): Cvm {
    const cvm = store.cvms.findUuid(uuid.toLowerCase());
    if (!cvm) throw cvmNotFound(uuid);
    if (parseAppCompose(cvm.composeText).public_logs === true) return cvm;
    throw new ApiError(403, undefined, "The owner of the CVM does not publish its logs.");
  }
};
