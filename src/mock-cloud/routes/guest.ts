import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import {
  type ApiVersion,
  type AppAttestation,
  type Attestation,
  appAttestationSchema,
  attestationSchema,
  cvmCompositionSchema,
  cvmNetworkSchema,
  cvmStatsSchema,
  type InstanceIdRefresh,
  instanceIdRefreshesSchema,
  instanceIdRefreshSchema,
  refreshInstanceIdRequestSchema,
  refreshInstanceIdsRequestSchema,
} from "../../cloud/protocol.ts";
import { parseAppCompose } from "../../core/app-compose.ts";
import { withoutPrefix } from "../../core/ids.ts";
import type { Clock } from "../clock.ts";
import type { AppView } from "../http/app-answers.ts";
import { toCvmId } from "../http/cvm-answers.ts";
import type { Links } from "../http/links.ts";
import { appParams, cvmParams, refusals, versionHeaders } from "../http/schemas.ts";
import { type CvmView, findAppCvms, findCvm, viewCvm } from "../services/find.ts";
import { describeComposition, describeNetwork, describeStats, measureGuest, uptimeOf } from "../services/guest.ts";
import type { KmsRuntime } from "../services/kms.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import type { Principal } from "../store/workspaces.ts";
import { namedCvm } from "./cvms.ts";

export interface GuestRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly clock: Clock;
  readonly links: Links;
}

/** Information that a running guest reports about itself. */
export const guestRoutes: FastifyPluginAsyncZod<GuestRoutesOptions> = async (app, options) => {
  const { store, kmsRuntime, clock, links } = options;
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
        summary: "The addresses of the guest",
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
    async ({ params, principal }) => {
      const [view, time] = visit(principal, params.cvm_id);
      return describeComposition(view, time, (container) => links.logs(view.cvm, container));
    },
  );
};

export interface AttestationRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
}

/** The guest's attestation and its instance id. */
export const attestationRoutes: FastifyPluginAsyncZod<AttestationRoutesOptions> = async (
  app,
  { store, kmsRuntime },
) => {
  const tags = ["guest"];

  app.get(
    "/cvms/:cvm_id/attestation",
    {
      schema: {
        tags,
        summary: "Measurements of a running guest, without a hardware signature",
        params: cvmParams,
        response: { ...refusals, 200: attestationSchema },
      },
    },
    async (request) => toAttestation(viewCvm(store, kmsRuntime, namedCvm(store, request))),
  );

  app.get(
    "/apps/:app_id/attestations",
    {
      schema: {
        tags,
        summary: "The same for every instance of an app",
        params: appParams,
        response: { ...refusals, 200: appAttestationSchema },
      },
    },
    async ({ params, principal }) => {
      const view = (cvm: Cvm) => viewCvm(store, kmsRuntime, cvm);
      const [first, ...rest] = findAppCvms(store.cvms, principal.workspace.id, params.app_id);
      return toAppAttestation([view(first), ...rest.map(view)]);
    },
  );

  app.patch(
    "/cvms/:cvm_id/instance-id",
    {
      schema: {
        tags,
        summary: "Compare the instance id on record with the running guest's",
        params: cvmParams,
        headers: versionHeaders,
        body: refreshInstanceIdRequestSchema.nullish(),
        response: { ...refusals, 200: instanceIdRefreshSchema },
      },
    },
    async (request) => refresh(namedCvm(store, request), request.apiVersion),
  );

  app.patch(
    "/cvms/instance-ids",
    {
      schema: {
        tags,
        summary: "The same for several CVMs, or all",
        headers: versionHeaders,
        body: refreshInstanceIdsRequestSchema.nullish(),
        response: { ...refusals, 200: instanceIdRefreshesSchema },
      },
    },
    async ({ body, principal, apiVersion }) => {
      const { id: workspaceId } = principal.workspace;
      const named = body?.cvm_ids?.map((id) => findCvm(store.cvms, workspaceId, id));
      const all = named ?? store.cvms.inWorkspace(workspaceId);
      const isWanted = ({ status }: Cvm) => !body?.missing_only && (!body?.running_only || status === "running");
      const items = all
        .filter(isWanted)
        .slice(0, body?.limit ?? 500)
        .map((cvm) => refresh(cvm, apiVersion));
      const count = (status: InstanceIdRefresh["status"]) => items.filter((item) => item.status === status).length;
      return {
        total: all.length,
        scanned: items.length,
        updated: count("updated"),
        unchanged: count("unchanged"),
        skipped: count("skipped"),
        conflicts: count("conflict"),
        errors: count("error"),
        items,
      };
    },
  );
};

/** The mock cloud has one record of the instance id, so a refresh never changes it, with or without a dry run. */
function refresh(cvm: Cvm, version: ApiVersion): InstanceIdRefresh {
  const isOnline = cvm.status === "running";
  return {
    cvm_id: toCvmId(cvm, version),
    identifier: cvm.vmUuid,
    status: isOnline ? "unchanged" : "skipped",
    source: isOnline ? "teepod_state" : "none",
    verified_with_gateway: false,
    old_instance_id: withoutPrefix(cvm.instanceId),
    new_instance_id: isOnline ? withoutPrefix(cvm.instanceId) : null,
    reason: isOnline ? null : "The CVM is not running.",
  };
}

const offline = "The CVM is not running.";

export function toAttestation(view: CvmView): Attestation {
  const { name, composeText } = view.cvm;
  const is_public = parseAppCompose(composeText).public_tcbinfo === true;
  return { name, is_online: view.cvm.status === "running", is_public, ...attestGuest(view) };
}

export function toAppAttestation(views: AppView): AppAttestation {
  const [{ cvm, kms }] = views;
  return {
    app_id: withoutPrefix(cvm.appId),
    contract_address: kms.chainId === null ? "" : cvm.appId,
    kms_info: {
      contract_address: kms.contractAddress ?? "",
      chain_id: kms.chainId === null ? null : String(kms.chainId),
      version: kms.version,
      url: kms.url,
      gateway_app_id: kms.gatewayAppId,
      gateway_app_url: "",
      kms_type: kms.type,
    },
    instances: views.map((view) => ({
      vm_uuid: view.cvm.vmUuid,
      name: view.cvm.name,
      instance_id: withoutPrefix(view.cvm.instanceId),
      status: view.cvm.status,
      image_version: view.cvm.settings.osImage,
      // Null, because only hardware could sign a quote.
      quote: null,
      device_id: withoutPrefix(view.node.deviceId),
      ...attestGuest(view),
    })),
    kms_guest_agent_info: null,
    gateway_guest_agent_info: null,
    qemu_version: null,
  };
}

/** While the guest does not run, the answer contains only the reason. */
function attestGuest(view: CvmView) {
  if (view.cvm.status !== "running") {
    return { error: offline, app_certificates: null, tcb_info: null, compose_file: null };
  }
  const { docker_compose_file } = parseAppCompose(view.cvm.composeText);
  return {
    error: null,
    app_certificates: [],
    tcb_info: measureGuest(view),
    compose_file: docker_compose_file ?? null,
  };
}
