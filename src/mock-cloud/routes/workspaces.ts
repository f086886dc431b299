import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  type WorkspaceAnswer,
  workspaceListSchema,
  workspaceNodesSchema,
  workspaceQuotasSchema,
  workspaceSchema,
} from "../../cloud/protocol.ts";
import { type Clock, toIsoTime } from "../clock.ts";
import { workspaceNotFound } from "../errors.ts";
import type { Fleet } from "../services/fleet.ts";
import type { Store } from "../store/store.ts";
import type { Principal, Workspace } from "../store/workspaces.ts";
import { toNodeRef } from "../wire/node-answers.ts";
import { pageQuery, paginate } from "../wire/page.ts";
import { described, refusals } from "./schemas.ts";

export interface WorkspaceRoutesOptions {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly clock: Clock;
}

const workspaceParams = z.object({ slug: described(z.string(), "Slug or id.") });

/** An API key belongs to one workspace, and sees no other. */
export const workspaceRoutes: FastifyPluginAsyncZod<WorkspaceRoutesOptions> = async (app, options) => {
  const { store, fleet, clock } = options;
  const tags = ["workspaces"];

  const describe = ({ id, name, slug }: Workspace): WorkspaceAnswer => ({
    id,
    name,
    slug,
    tier: "free",
    role: "owner",
    is_default: true,
    created_at: toIsoTime(store.workspaces.createdAt(id)),
  });

  app.get(
    "/workspaces",
    {
      schema: {
        tags,
        summary: "The workspaces of the API key",
        querystring: z.object({
          cursor: z.string().optional(),
          limit: z.coerce.number().int().min(1).max(100).optional(),
        }),
        response: { ...refusals, 200: workspaceListSchema },
      },
    },
    async ({ principal }) => ({
      data: [describe(principal.workspace)],
      pagination: { has_more: false, next_cursor: null, total: 1 },
    }),
  );

  app.get(
    "/workspaces/:slug",
    {
      schema: {
        tags,
        summary: "One workspace",
        params: workspaceParams,
        response: { ...refusals, 200: workspaceSchema },
      },
    },
    async ({ params, principal }) => describe(requireOwn(principal, params.slug)),
  );

  app.get(
    "/workspaces/:slug/nodes",
    {
      schema: {
        tags,
        summary: "The nodes a workspace can use",
        params: workspaceParams,
        querystring: pageQuery,
        response: { ...refusals, 200: workspaceNodesSchema },
      },
    },
    async ({ params, query, principal }) => {
      requireOwn(principal, params.slug);
      return paginate(
        store.platform.listNodes().map((node) => ({ ...toNodeRef(node), status: "online" })),
        query,
      );
    },
  );

  app.get(
    "/workspaces/:slug/quotas",
    {
      schema: {
        tags,
        summary: "What a workspace may use, and what is left of it",
        params: workspaceParams,
        response: { ...refusals, 200: workspaceQuotasSchema },
      },
    },
    async ({ params, principal }) => {
      const workspace = requireOwn(principal, params.slug);
      const nodes = store.platform.listNodes().map((node) => ({ limit: node.capacity, left: fleet.remaining(node) }));
      const quota = (resource: keyof (typeof nodes)[number]["limit"]) => ({
        limit: sum(nodes.map(({ limit }) => limit[resource])),
        remaining: sum(nodes.map(({ left }) => left[resource])),
      });
      const none = { limit: 0, remaining: 0 };
      return {
        team_slug: workspace.slug,
        tier: "free",
        quotas: {
          vm_slots: quota("cvmSlots"),
          vcpu: quota("vcpu"),
          memory_mb: quota("memoryMb"),
          // Nodes keep no account of their disks.
          disk_gb: { limit: unlimitedGb, remaining: unlimitedGb },
        },
        reserved_nodes: none,
        reserved_gpu: { gpus: none, in_use: 0, misconfigured: 0 },
        as_of: toIsoTime(clock.now()),
      };
    },
  );
};

const unlimitedGb = 1_000_000;

function requireOwn({ workspace }: Principal, reference: string): Workspace {
  if (reference !== workspace.slug && reference !== workspace.id) throw workspaceNotFound(reference);
  return workspace;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
