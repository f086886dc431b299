import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { cvmCompositionSchema, cvmNetworkSchema, cvmStatsSchema } from "../../cloud/protocol.ts";
import type { Clock } from "../clock.ts";
import { describeComposition, describeNetwork, describeStats } from "../services/describe-guest.ts";
import { findCvm } from "../services/find-cvm.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import { uptimeOf } from "../services/uptime.ts";
import { viewCvm } from "../services/view-cvm.ts";
import type { Store } from "../store/store.ts";
import type { Principal } from "../store/workspaces.ts";
import { cvmParams, refusals } from "./schemas.ts";

export interface GuestRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly clock: Clock;
}

/** What a running guest tells of itself. */
export const guestRoutes: FastifyPluginAsyncZod<GuestRoutesOptions> = async (app, { store, kmsRuntime, clock }) => {
  const tags = ["guest"];

  const visit = (principal: Principal, reference: string) => {
    const cvm = findCvm(store.cvms, principal.workspace.id, reference);
    const now = clock.now();
    return [viewCvm(store, kmsRuntime, cvm), { uptimeMs: uptimeOf(store, cvm, now), now }] as const;
  };

  app.get(
    "/cvms/:cvm_id/stats",
    {
      schema: {
        tags,
        summary: "System figures of the guest",
        params: cvmParams,
        response: { ...refusals, 200: cvmStatsSchema },
      },
    },
    async ({ params, principal }) => describeStats(...visit(principal, params.cvm_id)),
  );

  app.get(
    "/cvms/:cvm_id/network",
    {
      schema: {
        tags,
        summary: "How the guest is reached",
        params: cvmParams,
        response: { ...refusals, 200: cvmNetworkSchema },
      },
    },
    async ({ params, principal }) => describeNetwork(...visit(principal, params.cvm_id)),
  );

  app.get(
    "/cvms/:cvm_id/composition",
    {
      schema: {
        tags,
        summary: "The containers of the guest",
        params: cvmParams,
        response: { ...refusals, 200: cvmCompositionSchema },
      },
    },
    async ({ params, principal }) => describeComposition(...visit(principal, params.cvm_id)),
  );
};
