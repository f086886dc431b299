import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  commitInstanceRequestSchema,
  errorBodySchema,
  preparedInstanceSchema,
  vmSchema,
} from "../../cloud/protocol.ts";
import type { Clock } from "../clock.ts";
import { findCvm } from "../services/find-cvm.ts";
import type { Instances } from "../services/instances.ts";
import type { Store } from "../store/store.ts";
import { toPreparedInstance } from "../wire/instance-answers.ts";
import { readInstanceCommit } from "../wire/read-instance.ts";
import { appParams, cvmParams, mutationRefusals, versionHeaders } from "./schemas.ts";
import type { VmAnswer } from "./vm-answer.ts";

export interface CommitInstanceRoutesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly instances: Instances;
  readonly vmAnswer: VmAnswer;
}

const { 401: _, ...publicRefusals } = { ...mutationRefusals, 466: errorBodySchema };

/** What a commit token permits whoever holds it, with an API key or without. */
export const commitInstanceRoutes: FastifyPluginAsyncZod<CommitInstanceRoutesOptions> = async (app, options) => {
  const { store, clock, instances, vmAnswer } = options;
  const tags = ["instances"];
  const security: [] = [];

  app.post(
    "/cvms/:cvm_id/commit-replica",
    {
      schema: {
        tags,
        security,
        summary: "Create a prepared replica",
        params: cvmParams,
        headers: versionHeaders,
        querystring: z.object({ token: z.string().optional() }),
        body: commitInstanceRequestSchema.nullish(),
        response: { ...publicRefusals, 200: vmSchema, 467: errorBodySchema, 468: errorBodySchema },
      },
    },
    async ({ params, query, body, id, apiVersion }) => {
      const commit = readInstanceCommit(body ?? {}, query.token, id);
      const { workspaceId } = instances.find(commit.token);
      const { appId } = findCvm(store.cvms, workspaceId, params.cvm_id);
      return vmAnswer(await instances.commit(workspaceId, appId, commit), apiVersion);
    },
  );

  for (const [path, params] of [
    ["/cvms/:cvm_id/commit-replica", cvmParams],
    ["/apps/:app_id/instances", appParams],
  ] as const) {
    app.get(
      path,
      {
        schema: {
          tags,
          security,
          summary: "What a commit token is for",
          params,
          querystring: z.object({ token: z.string() }),
          response: { ...publicRefusals, 200: preparedInstanceSchema },
        },
      },
      async ({ query }) => {
        const prepared = instances.find(query.token);
        const node = store.platform.findNode(prepared.nodeId);
        if (!node) throw new Error(`Node ${prepared.nodeId} is gone.`);
        const vmUuid = prepared.cvmId === null ? undefined : store.cvms.get(prepared.cvmId).vmUuid;
        const onchain = await instances.readStatus(prepared);
        return toPreparedInstance({ prepared, node, onchain, vmUuid, now: clock.now() });
      },
    );
  }
};
