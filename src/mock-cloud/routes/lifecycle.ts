import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { restartCvmRequestSchema, vmSchema } from "../../cloud/protocol.ts";
import { findCvm } from "../services/find-cvm.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import type { Lifecycle, PowerAction } from "../services/lifecycle.ts";
import { viewCvm } from "../services/view-cvm.ts";
import type { Store } from "../store/store.ts";
import { toVm } from "../wire/cvm-answers.ts";
import { cvmParams, mutationRefusals, versionHeaders } from "./schemas.ts";

export interface LifecycleRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly lifecycle: Lifecycle;
}

const summaries: Readonly<Record<PowerAction, string>> = {
  start: "Boot a CVM that is down",
  stop: "Switch a CVM off",
  shutdown: "Ask the guest to shut down",
  restart: "Boot a CVM again; the KMS is asked again too",
};

export const lifecycleRoutes: FastifyPluginAsyncZod<LifecycleRoutesOptions> = async (app, options) => {
  const { store, kmsRuntime, lifecycle } = options;
  const tags = ["lifecycle"];

  for (const action of ["start", "stop", "shutdown", "restart"] as const) {
    app.post(
      `/cvms/:cvm_id/${action}`,
      {
        schema: {
          tags,
          summary: summaries[action],
          params: cvmParams,
          headers: versionHeaders,
          // No guest runs here that would have to be forced, so `force` changes nothing.
          body: action === "restart" ? restartCvmRequestSchema.nullish() : z.unknown(),
          response: { ...mutationRefusals, 202: vmSchema },
        },
      },
      async ({ params, principal, apiVersion, id }, reply) => {
        const cvm = lifecycle.power(findCvm(store.cvms, principal.workspace.id, params.cvm_id), action, id);
        return reply.code(202).send(toVm(viewCvm(store, kmsRuntime, cvm), apiVersion));
      },
    );
  }

  app.delete(
    "/cvms/:cvm_id",
    {
      schema: {
        tags,
        summary: "Delete a CVM; its app's contract stays",
        params: cvmParams,
        response: { ...mutationRefusals, 204: z.undefined() },
      },
    },
    async ({ params, principal, id }, reply) => {
      lifecycle.delete(findCvm(store.cvms, principal.workspace.id, params.cvm_id), id);
      return reply.code(204).send();
    },
  );
};
