import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  type ApiVersion,
  composeFileSchema,
  createCvmRequestSchema,
  cvmDetail20251028Schema,
  cvmDetail20260121Schema,
  cvmPage20251028Schema,
  cvmPage20260121Schema,
  errorBodySchema,
  isAtLeast,
  provisionCvmRequestSchema,
  provisionCvmSchema,
  restartCvmRequestSchema,
  statusBatchRequestSchema,
  statusBatchSchema,
  type Vm,
  vmSchema,
} from "../../cloud/protocol.ts";
import { parseAppCompose } from "../../core/app-compose.ts";
import { type Clock, toIsoTime } from "../clock.ts";
import {
  statusOf,
  toCvmDetail20251028,
  toCvmDetail20260121,
  toCvmInfo20251028,
  toCvmInfo20260121,
  toVm,
} from "../http/cvm-answers.ts";
import { pageQuery, paginate } from "../http/error-answers.ts";
import type { Links } from "../http/links.ts";
import { parseCreateRequest, parseProvisionRequest } from "../http/provision-requests.ts";
import { parseChangeContext } from "../http/requests.ts";
import { cvmParams, mutationRefusals, refusals, replaceHeaders, textAnswer, versionHeaders } from "../http/schemas.ts";
import { toProvisionAnswer } from "../http/update-answers.ts";
import { findCvm, parseCvmIdentifier, viewCvm } from "../services/find.ts";
import { formatUptime, uptimeOf } from "../services/guest.ts";
import type { KmsRuntime } from "../services/kms.ts";
import type { Lifecycle, PowerAction } from "../services/lifecycle.ts";
import type { Provisioning } from "../services/provisioning.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import type { Principal } from "../store/workspaces.ts";

export interface CvmRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly provisioning: Provisioning;
  readonly links: Links;
}

export const cvmRoutes: FastifyPluginAsyncZod<CvmRoutesOptions> = async (app, options) => {
  const { store, kmsRuntime, provisioning, links } = options;
  const tags = ["cvms"];

  app.get(
    "/cvms/:cvm_id",
    {
      schema: {
        tags,
        summary: "One CVM, in the format of the requested API version",
        params: cvmParams,
        headers: versionHeaders,
        response: { ...refusals, 200: z.union([cvmDetail20260121Schema, cvmDetail20251028Schema]) },
      },
    },
    async (request) => {
      const view = viewCvm(store, kmsRuntime, namedCvm(store, request));
      return isAtLeast(request.apiVersion, "2026-01-21") ? toCvmDetail20260121(view) : toCvmDetail20251028(view, links);
    },
  );

  app.get(
    "/cvms/:cvm_id/compose_file",
    {
      schema: {
        tags,
        summary: "The app-compose document in force",
        params: cvmParams,
        response: { ...refusals, 200: composeFileSchema },
      },
    },
    async (request) => composeFileSchema.parse(parseAppCompose(namedCvm(store, request).composeText)),
  );

  for (const [path, field] of [
    ["docker-compose.yml", "docker_compose_file"],
    ["pre-launch-script", "pre_launch_script"],
  ] as const) {
    app.get(
      `/cvms/:cvm_id/${path}`,
      {
        schema: {
          tags,
          summary: `The ${field} in force`,
          params: cvmParams,
          response: { ...refusals, 200: textAnswer },
        },
      },
      async (request, reply) => {
        const document = parseAppCompose(namedCvm(store, request).composeText);
        return reply.type("text/plain; charset=utf-8").send(document[field] ?? "");
      },
    );
  }

  app.post(
    "/cvms/provision",
    {
      schema: {
        tags,
        summary: "Plan a CVM: determine its compose hash and its node",
        body: provisionCvmRequestSchema,
        response: { ...mutationRefusals, 200: provisionCvmSchema },
      },
    },
    async ({ body, principal }) =>
      toProvisionAnswer(provisioning.provision(principal.workspace.id, parseProvisionRequest(body)), kmsRuntime),
  );

  app.post(
    "/cvms",
    {
      schema: {
        tags,
        summary: "Create a planned CVM",
        headers: versionHeaders,
        body: createCvmRequestSchema,
        response: { ...mutationRefusals, 200: vmSchema, 466: errorBodySchema },
      },
    },
    async ({ body, principal, apiVersion, id }) => {
      const cvm = provisioning.create(principal.workspace.id, parseCreateRequest(body), id);
      return toVm(viewCvm(store, kmsRuntime, cvm), apiVersion);
    },
  );
};

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
      status: statusOf(cvm, running),
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

export interface LifecycleRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly lifecycle: Lifecycle;
}

const summaries: Readonly<Record<PowerAction, string>> = {
  start: "Boot a stopped CVM",
  stop: "Stop a CVM at once",
  shutdown: "Ask the guest to shut down",
  restart: "Restart a CVM; the KMS decides again whether it may boot",
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
          headers: versionHeaders.extend(replaceHeaders.shape),
          // No real guest runs here, so `force` changes nothing.
          body: action === "restart" ? restartCvmRequestSchema.nullish() : z.unknown(),
          response: { ...mutationRefusals, 202: vmSchema },
        },
      },
      async (request, reply) => {
        const cvm = lifecycle.power(namedCvm(store, request), action, parseChangeContext(request));
        return reply.code(202).send(toVm(viewCvm(store, kmsRuntime, cvm), request.apiVersion));
      },
    );
  }

  app.delete(
    "/cvms/:cvm_id",
    {
      schema: {
        tags,
        summary: "Delete a CVM; its app's contract does not change",
        params: cvmParams,
        headers: replaceHeaders,
        response: { ...mutationRefusals, 204: z.undefined() },
      },
    },
    async (request, reply) => {
      lifecycle.delete(namedCvm(store, request), parseChangeContext(request));
      return reply.code(204).send();
    },
  );
};

export interface CvmRequest {
  readonly principal: Principal;
  readonly params: { readonly cvm_id: string };
}

/** Finds the CVM in the request's path in the key's workspace. @throws ApiError 404, or 400 when several CVMs match */
export function namedCvm(store: Store, { principal, params }: CvmRequest): Cvm {
  return findCvm(store.cvms, principal.workspace.id, params.cvm_id);
}

/** Formats a CVM as the answer to an action, in the shape of an API version. */
export type VmAnswer = (cvm: Cvm, version: ApiVersion) => Vm;

export function createVmAnswer(store: Store, kmsRuntime: KmsRuntime): VmAnswer {
  return (cvm, version) => toVm(viewCvm(store, kmsRuntime, cvm), version);
}
