import type { FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  commitComposeFileRequestSchema,
  confirmPatchRequestSchema,
  envsInProgressSchema,
  inProgressSchema,
  isAtLeast,
  patchCvmRequestSchema,
  patchEnvsRequestSchema,
  provisionComposeFileRequestSchema,
  provisionComposeFileSchema,
  scriptUpgradeStatusSchema,
  updateAcceptedSchema,
} from "../../cloud/protocol.ts";
import { parseAppCompose } from "../../core/app-compose.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { notOfficialScript } from "../errors.ts";
import { toKmsInfo } from "../http/platform-answers.ts";
import {
  parseAbsentText,
  parseChangeContext,
  parseComposeHashField,
  parseConfirmation,
  parseEncryptedEnv,
  parseEnvsChange,
  parsePatchChange,
  parseProvisionChange,
  parseTextChange,
  requireConfirmation,
} from "../http/requests.ts";
import {
  confirmationHeaders,
  cvmParams,
  mutationRefusals,
  refusals,
  replaceHeaders,
  twoPhaseRefusals,
} from "../http/schemas.ts";
import { judgeScript, latestOfficialScript } from "../services/pre-launch-script.ts";
import type { UpdateOutcome } from "../services/updates.ts";
import { namedCvm } from "./cvms.ts";
import { createSubmitChange, describeOutcome, type SubmitChangeOptions } from "./submit-change.ts";

const { 465: _, ...confirmRefusals } = twoPhaseRefusals;
const textBody = z.union([z.string(), z.looseObject({})]).nullish();
const textTypes = ["text/yaml", "text/plain", "application/json", "multipart/form-data"];

export const updateRoutes: FastifyPluginAsyncZod<SubmitChangeOptions> = async (app, options) => {
  const { store, updates } = options;
  const submit = createSubmitChange(options);
  const tags = ["updates"];

  // The update guide documents POST for both paths. The official clients use only PATCH.
  for (const method of ["PATCH", "POST"] as const) {
    app.route({
      method,
      url: "/cvms/:cvm_id",
      schema: {
        tags,
        summary: "Change a CVM, or confirm the change whose compose hash was registered",
        params: cvmParams,
        headers: confirmationHeaders,
        body: patchCvmRequestSchema.nullish(),
        response: { ...twoPhaseRefusals, 202: updateAcceptedSchema },
      },
      handler: async (request, reply) => {
        const { registration, outcome } = await submit(request, () => parsePatchChange(request.body ?? {}));
        if (registration) return reply.code(465).send(registration);
        const status = outcome.kind === "no-change" ? "no_change" : "in_progress";
        return reply.code(202).send({ ...describeOutcome(outcome, request.id), status });
      },
    });
  }

  app.post(
    "/cvms/:cvm_id/confirm-patch",
    {
      schema: {
        tags,
        summary: "Confirm the change whose compose hash was registered; other changes are refused",
        params: cvmParams,
        headers: confirmationHeaders,
        body: confirmPatchRequestSchema.nullish(),
        response: { ...confirmRefusals, 202: updateAcceptedSchema },
      },
    },
    async (request, reply) => {
      const confirmation = requireConfirmation(request);
      const outcome = await updates.confirm(
        namedCvm(store, request),
        confirmation,
        undefined,
        parseChangeContext(request),
      );
      return reply.code(202).send({ ...describeOutcome(outcome, request.id), status: "in_progress" });
    },
  );

  for (const [path, field] of [
    ["docker-compose", "docker_compose_file"],
    ["pre-launch-script", "pre_launch_script"],
  ] as const) {
    app.patch(
      `/cvms/:cvm_id/${path}`,
      {
        schema: {
          tags,
          summary: `Replace the ${field}: as raw text, in JSON, or as the part \`file\` of a form`,
          consumes: textTypes,
          params: cvmParams,
          headers: confirmationHeaders,
          body: textBody,
          response: { ...twoPhaseRefusals, 202: inProgressSchema },
        },
      },
      async (request, reply) => {
        const { registration, outcome } = await submit(request, () => {
          const isConfirmed = parseConfirmation(request) !== undefined;
          return (
            parseTextChange(request.body, field) ?? (isConfirmed ? undefined : parseAbsentText(request.body, field))
          );
        });
        if (registration) return reply.code(465).send(registration);
        return reply.code(202).send({ ...describeOutcome(outcome, request.id), status: statusOf(outcome, request) });
      },
    );
  }

  app.get(
    "/cvms/:cvm_id/pre-launch-script/upgrade-status",
    {
      schema: {
        tags,
        summary: "Whether a CVM runs the cloud's own pre-launch script, and whether there is a newer one",
        description: "The mock cloud's scripts stand in for the real cloud's, and have other hashes.",
        params: cvmParams,
        response: { ...refusals, 200: scriptUpgradeStatusSchema },
      },
    },
    async (request) => {
      const status = judgeScript(parseAppCompose(namedCvm(store, request).composeText).pre_launch_script);
      return {
        current_hash: status.currentHash,
        latest_official_hash: status.latestOfficialHash,
        is_official: status.isOfficial,
        is_latest: status.isLatest,
        can_upgrade: status.isOfficial && !status.isLatest,
      };
    },
  );

  app.post(
    "/cvms/:cvm_id/pre-launch-script/upgrade-to-latest-official",
    {
      schema: {
        tags,
        summary:
          "Replace an older pre-launch script of the cloud by the newest one; a script of the owner's own is kept",
        params: cvmParams,
        headers: confirmationHeaders,
        body: textBody,
        response: { ...twoPhaseRefusals, 202: inProgressSchema },
      },
    },
    async (request, reply) => {
      const { isOfficial } = judgeScript(parseAppCompose(namedCvm(store, request).composeText).pre_launch_script);
      if (!isOfficial) throw notOfficialScript();
      const { registration, outcome } = await submit(request, () => ({
        compose: { preLaunchScript: latestOfficialScript },
      }));
      if (registration) return reply.code(465).send(registration);
      return reply.code(202).send({ ...describeOutcome(outcome, request.id), status: statusOf(outcome, request) });
    },
  );

  app.patch(
    "/cvms/:cvm_id/envs",
    {
      schema: {
        tags,
        summary: "Replace the whole environment and the names that the guest accepts",
        params: cvmParams,
        headers: confirmationHeaders,
        body: patchEnvsRequestSchema,
        response: { ...twoPhaseRefusals, 202: envsInProgressSchema },
      },
    },
    async (request, reply) => {
      const { registration, outcome } = await submit(request, () => parseEnvsChange(request.body));
      if (registration) return reply.code(465).send(registration);
      const isChanged = outcome.kind === "accepted" && outcome.isAllowedEnvsChanged();
      return reply
        .code(202)
        .send({ ...describeOutcome(outcome, request.id), status: "in_progress", allowed_envs_changed: isChanged });
    },
  );

  app.post(
    "/cvms/:cvm_id/compose_file/provision",
    {
      schema: {
        tags,
        summary: "Compute and store a new app-compose document without applying it",
        params: cvmParams,
        headers: replaceHeaders,
        body: provisionComposeFileRequestSchema,
        response: { ...mutationRefusals, 200: provisionComposeFileSchema },
      },
    },
    async (request) => {
      const cvm = namedCvm(store, request);
      const { kms, node } = store.platform.nextPlaceOf(cvm);
      const composeHash = updates.provision(cvm, parseProvisionChange(request.body), parseChangeContext(request));
      return {
        app_id: withoutPrefix(cvm.appId),
        device_id: withoutPrefix(node.deviceId),
        compose_hash: withoutPrefix(composeHash),
        kms_info: toKmsInfo(kms),
      };
    },
  );

  app.patch(
    "/cvms/:cvm_id/compose_file",
    {
      schema: {
        tags,
        summary: "Apply a provisioned document; its hash must already be allowed on chain",
        params: cvmParams,
        headers: replaceHeaders,
        body: commitComposeFileRequestSchema,
        response: { ...twoPhaseRefusals, 202: updateAcceptedSchema },
      },
    },
    async (request, reply) => {
      const { body, id } = request;
      const composeHash = parseComposeHashField(body.compose_hash, ["body", "compose_hash"]);
      const encryptedEnv = body.update_env_vars === false ? undefined : parseEncryptedEnv(body.encrypted_env);
      const outcome = await updates.commit(
        namedCvm(store, request),
        composeHash,
        encryptedEnv,
        parseChangeContext(request),
      );
      return reply.code(202).send({ ...describeOutcome(outcome, id), status: "in_progress" });
    },
  );
};

/** Older clients of these endpoints accept no other status than `in_progress`. */
function statusOf({ kind }: UpdateOutcome, { apiVersion }: FastifyRequest): "in_progress" | "no_change" {
  return kind === "no-change" && isAtLeast(apiVersion, "2026-05-22") ? "no_change" : "in_progress";
}
