import { Readable } from "node:stream";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { type CvmState, cvmStateSchema, plainErrorBodySchema } from "../../cloud/protocol.ts";
import type { Clock } from "../clock.ts";
import { ApiError } from "../errors.ts";
import { toCvmState } from "../http/cvm-answers.ts";
import { cvmParams, described, refusals } from "../http/schemas.ts";
import { findCvm } from "../services/find.ts";
import { formatUptime, uptimeOf } from "../services/guest.ts";
import { type CvmChanges, watchState } from "../services/watch-state.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import type { Principal } from "../store/workspaces.ts";

export interface StateRoutesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly changes: CvmChanges;
  /** Ends all streams when the server stops. */
  readonly stopping: AbortSignal;
}

const streamsPerUser = 5;

const stateAnswer = {
  content: {
    "application/json": { schema: cvmStateSchema },
    "text/event-stream": { schema: z.string() },
  },
};

const stateQuery = z.object({
  target: described(z.string().optional(), "Status to wait for. Like the other parameters, for streams only."),
  interval: described(z.coerce.number().min(5).max(30).default(5), "Maximum seconds between two events."),
  timeout: described(z.coerce.number().min(10).max(600).default(300), "Seconds until the stream ends."),
});

export const stateRoutes: FastifyPluginAsyncZod<StateRoutesOptions> = async (app, options) => {
  const { store, clock, changes, stopping } = options;
  const streams = new Map<string, number>();

  app.get(
    "/cvms/:cvm_id/state",
    {
      schema: {
        tags: ["cvms"],
        summary: "The state of a CVM; with `Accept: text/event-stream`, every state until the target is reached",
        params: cvmParams,
        querystring: stateQuery,
        response: { ...refusals, 200: stateAnswer, 429: plainErrorBodySchema },
      },
    },
    async (request, reply) => {
      const { params, query, principal } = request;
      const cvm = findCvm(store.cvms, principal.workspace.id, params.cvm_id);
      if (!request.headers.accept?.includes("text/event-stream")) {
        return reply.type("application/json; charset=utf-8").send(describe(cvm));
      }
      const release = takeStream(principal);
      const gone = new AbortController();
      reply.raw.once("close", () => {
        gone.abort();
        release();
      });
      const events = watchState({
        hashid: cvm.hashid,
        target: query.target,
        intervalMs: query.interval * 1000,
        timeoutMs: query.timeout * 1000,
        read: () => {
          const now = store.cvms.findHashid(cvm.hashid);
          return now && { state: describe(now), isBusy: store.operations.runningOf(now.id) !== undefined };
        },
        changes,
        clock,
        signal: AbortSignal.any([gone.signal, stopping]),
      });
      return reply
        .type("text/event-stream")
        .header("Cache-Control", "no-cache")
        .send(Readable.from(events, { objectMode: false }) as never); // the schema describes the stream's text
    },
  );

  function describe(cvm: Cvm): CvmState {
    const uptime = uptimeOf(store, cvm, clock.now());
    return {
      ...toCvmState(cvm, store.operations.runningOf(cvm.id)),
      ...(uptime !== undefined && { uptime: formatUptime(uptime) }),
    };
  }

  /** @throws ApiError 429 */
  function takeStream({ workspace, username }: Principal): () => void {
    const user = `${workspace.id} ${username}`;
    const open = streams.get(user) ?? 0;
    if (open >= streamsPerUser) {
      throw new ApiError(429, undefined, `There are ${open} state streams of this user already.`, {
        retryAfterSeconds: 5,
      });
    }
    streams.set(user, open + 1);
    return () => streams.set(user, (streams.get(user) ?? 1) - 1);
  }
};
