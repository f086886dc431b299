import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  createSshKeyRequestSchema,
  importGithubProfileRequestSchema,
  importGithubProfileSchema,
  plainErrorBodySchema,
  type SshKeyAnswer,
  sshKeySchema,
  syncGithubKeysSchema,
} from "../../cloud/protocol.ts";
import { type Clock, toIsoTime } from "../clock.ts";
import { addSshKey, removeSshKey } from "../services/ssh-keys.ts";
import type { SshKey, SshKeys } from "../store/ssh-keys.ts";
import type { Principal } from "../store/workspaces.ts";
import { refusals } from "./schemas.ts";

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
        summary: "Import the keys of a GitHub user; here that adds none",
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
        summary: "Bring imported keys up to date; here that changes none",
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
