import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  createSshKeyRequestSchema,
  currentUser20251028Schema,
  currentUser20260121Schema,
  deviceCodeRequestSchema,
  deviceCodeSchema,
  deviceTokenErrorSchema,
  deviceTokenRequestSchema,
  deviceTokenSchema,
  importGithubProfileRequestSchema,
  importGithubProfileSchema,
  isAtLeast,
  plainErrorBodySchema,
  type SshKeyAnswer,
  sshKeySchema,
  syncGithubKeysSchema,
  type WorkspaceAnswer,
  workspaceListSchema,
  workspaceNodesSchema,
  workspaceQuotasSchema,
  workspaceSchema,
} from "../../cloud/protocol.ts";
import { type Clock, toIsoTime } from "../clock.ts";
import { ApiError, workspaceNotFound } from "../errors.ts";
import { pageQuery, paginate } from "../http/error-answers.ts";
import type { Links } from "../http/links.ts";
import { toNodeRef } from "../http/platform-answers.ts";
import { described, refusals, textAnswer, versionHeaders } from "../http/schemas.ts";
import { addSshKey, finishDeviceLogin, removeSshKey, startDeviceLogin } from "../services/account.ts";
import type { Fleet } from "../services/fleet.ts";
import type { SshKey, SshKeys } from "../store/small-tables.ts";
import type { Store } from "../store/store.ts";
import type { Principal, Workspace } from "../store/workspaces.ts";

export interface WorkspaceRoutesOptions {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly clock: Clock;
}

const workspaceParams = z.object({ slug: described(z.string(), "Slug or id.") });

/** An API key belongs to one workspace and gives access to that workspace only. */
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
        summary: "The quotas of a workspace, and their remaining amounts",
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
          // Nodes do not count disk space.
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

export const authRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    "/auth/me",
    {
      schema: {
        tags: ["auth"],
        summary: "The user and the workspace of the API key",
        headers: versionHeaders,
        response: { ...refusals, 200: z.union([currentUser20260121Schema, currentUser20251028Schema]) },
      },
    },
    async ({ principal, apiVersion }) => {
      const { workspace, username, email } = principal;
      if (!isAtLeast(apiVersion, "2026-01-21")) {
        return {
          username,
          email,
          credits: 0,
          granted_credits: 0,
          avatar: "",
          team_name: workspace.name,
          team_tier: "free",
        };
      }
      return {
        user: {
          username,
          email,
          role: "user" as const,
          avatar: "",
          email_verified: true,
          totp_enabled: false,
          has_backup_codes: false,
          flag_has_password: true,
        },
        workspace: { id: workspace.id, name: workspace.name, slug: workspace.slug, tier: "free", role: "owner" },
        credits: { balance: "0", granted_balance: "0", is_post_paid: false, outstanding_amount: null },
      };
    },
  );
};

export interface DeviceLoginRoutesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly links: Links;
  readonly isOffered: boolean;
}

const { 401: _, ...publicRefusals } = refusals;

const explanations = {
  invalid_grant: "No login with this device code waits for its token.",
  expired_token: "The login took too long. Start it again.",
  access_denied: "No workspace has a user to log in.",
} as const;

/**
 * The login of the CLI (RFC 8628), without an API key. Every login is approved at once, so an option must enable it.
 */
export const deviceLoginRoutes: FastifyPluginAsyncZod<DeviceLoginRoutesOptions> = async (app, options) => {
  const { store, clock, links, isOffered } = options;
  const tags = ["auth"];
  const security: [] = [];

  app.addHook("onRequest", async () => {
    if (isOffered) return;
    const message = "This mock cloud was started without device logins (--device-login). Use the API key it was given.";
    throw new ApiError(403, undefined, message);
  });

  app.post(
    "/auth/device/code",
    {
      schema: {
        tags,
        security,
        summary: "Start the login of a device",
        body: deviceCodeRequestSchema,
        response: { ...publicRefusals, 200: deviceCodeSchema },
      },
    },
    async () => {
      const { deviceCode, userCode, lifetimeSeconds } = startDeviceLogin(store, clock);
      const page = links.api("/auth/device");
      return {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri: page,
        verification_uri_complete: `${page}?user_code=${userCode}`,
        expires_in: lifetimeSeconds,
        interval: 1,
      };
    },
  );

  app.post(
    "/auth/device/token",
    {
      schema: {
        tags,
        security,
        summary: "Fetch the API key of a login, once",
        body: deviceTokenRequestSchema,
        response: { ...publicRefusals, 200: deviceTokenSchema, 400: deviceTokenErrorSchema },
      },
    },
    async ({ body }, reply) => {
      const login = finishDeviceLogin(store, clock, body.device_code);
      if (login.kind === "approved") return { access_token: login.apiKey, token_type: "bearer" as const };
      const detail = { error: login.error, error_description: explanations[login.error] };
      return reply.code(400).send({ detail });
    },
  );

  app.get(
    "/auth/device",
    {
      schema: {
        tags,
        security,
        summary: "The page on which a user would approve a login",
        querystring: z.object({ user_code: z.string().optional() }),
        response: { ...publicRefusals, 200: textAnswer },
      },
    },
    async (_request, reply) =>
      reply
        .type("text/plain; charset=utf-8")
        .send("This mock cloud approves every login automatically. You can close this page.\n"),
  );
};

export interface SshKeyRoutesOptions {
  readonly sshKeys: SshKeys;
  readonly clock: Clock;
}

const offline = "This mock cloud does not reach GitHub.";

export const sshKeyRoutes: FastifyPluginAsyncZod<SshKeyRoutesOptions> = async (app, { sshKeys, clock }) => {
  const tags = ["ssh keys"];

  app.get(
    "/user/ssh-keys",
    { schema: { tags, summary: "The user's SSH keys", response: { ...refusals, 200: z.array(sshKeySchema) } } },
    async ({ principal }) => sshKeys.ofUser(principal).map((key) => describe(key, principal)),
  );

  app.post(
    "/user/ssh-keys",
    {
      schema: {
        tags,
        summary: "Add an SSH key",
        body: createSshKeyRequestSchema,
        response: { ...refusals, 201: sshKeySchema, 409: plainErrorBodySchema },
      },
    },
    async ({ body, principal }, reply) => {
      const key = addSshKey(sshKeys, clock, principal, { name: body.name, publicKey: body.public_key });
      return reply.code(201).send(describe(key, principal));
    },
  );

  app.delete(
    "/user/ssh-keys/:key_id",
    {
      schema: {
        tags,
        summary: "Remove an SSH key",
        params: z.object({ key_id: z.string() }),
        response: { ...refusals, 204: z.undefined() },
      },
    },
    async ({ params, principal }, reply) => {
      removeSshKey(sshKeys, principal, params.key_id);
      return reply.code(204).send();
    },
  );

  app.post(
    "/user/ssh-keys/github-profile",
    {
      schema: {
        tags,
        summary: "Import the keys of a GitHub user; the mock adds none",
        body: importGithubProfileRequestSchema,
        response: { ...refusals, 200: importGithubProfileSchema },
      },
    },
    async ({ body: { github_username } }) => ({ github_username, keys_added: 0, keys_skipped: 0, errors: [offline] }),
  );

  app.post(
    "/user/ssh-keys/github-sync",
    {
      schema: {
        tags,
        summary: "Update imported keys; the mock changes none",
        body: z.looseObject({}).nullish(),
        response: { ...refusals, 200: syncGithubKeysSchema },
      },
    },
    async () => ({ synced_count: 0, keys_added: 0, keys_updated: 0, keys_removed: 0, errors: [offline] }),
  );
};

function describe(key: SshKey, { username }: Principal): SshKeyAnswer {
  return {
    id: key.id,
    user_id: username,
    name: key.name,
    public_key: key.publicKey,
    fingerprint: key.fingerprint,
    key_type: key.keyType,
    source: "manual",
    key_metadata: null,
    last_synced_at: null,
    created_at: toIsoTime(key.createdAt),
    updated_at: toIsoTime(key.createdAt),
  };
}
