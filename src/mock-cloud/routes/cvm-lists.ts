import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  cvmPage20251028Schema,
  cvmPage20260121Schema,
  isAtLeast,
  statusBatchRequestSchema,
  statusBatchSchema,
} from "../../cloud/protocol.ts";
import { type Clock, toIsoTime } from "../clock.ts";
import { parseCvmIdentifier } from "../services/cvm-identifier.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import { formatUptime, uptimeOf } from "../services/uptime.ts";
import { viewCvm } from "../services/view-cvm.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import { toCvmInfo20251028, toCvmInfo20260121 } from "../wire/cvm-list-answers.ts";
import { pageQuery, paginate } from "../wire/page.ts";
import { refusals, versionHeaders } from "./schemas.ts";

export interface CvmListRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly clock: Clock;
}

const nodeFilter = z.coerce.number().int().min(1).optional();

export const cvmListRoutes: FastifyPluginAsyncZod<CvmListRoutesOptions> = async (app, options) => {
  const { store, kmsRuntime, clock } = options;

  app.get(
    "/cvms/paginated",
    {
      schema: {
        tags: ["cvms"],
        summary: "The workspace's CVMs, the newest first",
        headers: versionHeaders,
        querystring: pageQuery.extend({ node_id: nodeFilter, teepod_id: nodeFilter }),
        response: { ...refusals, 200: z.union([cvmPage20260121Schema, cvmPage20251028Schema]) },
      },
    },
    async ({ query, principal, apiVersion }) => {
      const nodeId = query.node_id ?? query.teepod_id;
      const all = store.cvms
        .inWorkspace(principal.workspace.id)
        .filter((cvm) => nodeId === undefined || cvm.nodeId === nodeId)
        .reverse();
      const { items, ...page } = paginate(all, query);
      const view = (cvm: Cvm) => viewCvm(store, kmsRuntime, cvm);
      return isAtLeast(apiVersion, "2026-01-21")
        ? { items: items.map((cvm) => toCvmInfo20260121(view(cvm))), ...page }
        : { items: items.map((cvm) => toCvmInfo20251028(view(cvm), uptimeOf(store, cvm, clock.now()))), ...page };
    },
  );

  app.post(
    "/status/batch",
    {
      schema: {
        tags: ["cvms"],
        summary: "The states of many CVMs at once",
        body: statusBatchRequestSchema,
        response: { ...refusals, 200: statusBatchSchema },
      },
    },
    async ({ body, principal }) => {
      const found = body.vm_uuids.flatMap((uuid) => {
        const identifier = parseCvmIdentifier(uuid);
        if (identifier.kind !== "uuid") return [];
        return store.cvms
          .withUuid(principal.workspace.id, identifier.uuid)
          .map((cvm) => [uuid, describe(cvm)] as const);
      });
      return Object.fromEntries(found);
    },
  );

  function describe(cvm: Cvm) {
    const running = store.operations.runningOf(cvm.id);
    const uptime = uptimeOf(store, cvm, clock.now());
    return {
      vm_uuid: cvm.vmUuid,
      status: cvm.status,
      in_progress: running !== undefined,
      uptime: uptime === undefined ? null : formatUptime(uptime),
      boot_progress: null,
      boot_error: cvm.bootError,
      operation_type: running?.kind ?? null,
      operation_started_at: running ? toIsoTime(running.startedAt) : null,
      correlation_id: running?.correlationId ?? null,
    };
  }
};
