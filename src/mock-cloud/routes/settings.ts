import type { FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import {
  availableOsImagesSchema,
  listedSchema,
  patchListedRequestSchema,
  patchOsImageRequestSchema,
  patchResourcesRequestSchema,
  patchVisibilityRequestSchema,
  updateAcceptedSchema,
  userConfigSchema,
  visibilitySchema,
} from "../../cloud/protocol.ts";
import { parseAppCompose } from "../../core/app-compose.ts";
import { toCvmDetail20251028 } from "../http/cvm-answers.ts";
import { toAvailableOsImages } from "../http/platform-answers.ts";
import { parseChangeContext, parseResourcesChange, parseUserConfig, parseVisibilityChange } from "../http/requests.ts";
import {
  confirmationHeaders,
  cvmParams,
  mutationRefusals,
  refusals,
  replaceHeaders,
  twoPhaseRefusals,
} from "../http/schemas.ts";
import { viewCvm } from "../services/find.ts";
import type { UpdateChange } from "../services/plan-update.ts";
import { type CvmRequest, namedCvm } from "./cvms.ts";
import { createSubmitChange, describeOutcome, type SubmitChangeOptions } from "./submit-change.ts";

/** Reads and changes single settings of a CVM. */
export const settingsRoutes: FastifyPluginAsyncZod<SubmitChangeOptions> = async (app, options) => {
  const { store, kmsRuntime, updates } = options;
  const submit = createSubmitChange(options);
  const tags = ["settings"];

  const propose = (request: CvmRequest & Pick<FastifyRequest, "id" | "headers">, change: UpdateChange) => {
    const outcome = updates.propose(namedCvm(store, request), change, parseChangeContext(request));
    return {
      ...describeOutcome(outcome, request.id),
      status: outcome.kind === "accepted" ? "in_progress" : "no_change",
    };
  };

  app.patch(
    "/cvms/:cvm_id/resources",
    {
      schema: {
        tags,
        summary: "Resize a CVM",
        params: cvmParams,
        headers: replaceHeaders,
        body: patchResourcesRequestSchema.nullish(),
        response: { ...mutationRefusals, 202: updateAcceptedSchema },
      },
    },
    async (request, reply) => {
      const change = parseResourcesChange(request.body ?? {});
      return reply.code(202).send(propose(request, change));
    },
  );

  app.patch(
    "/cvms/:cvm_id/os-image",
    {
      schema: {
        tags,
        summary: "Boot another OS image",
        params: cvmParams,
        headers: replaceHeaders,
        body: patchOsImageRequestSchema,
        response: { ...mutationRefusals, 202: updateAcceptedSchema },
      },
    },
    async (request, reply) => {
      const change = { settings: { osImage: request.body.os_image_name } };
      return reply.code(202).send(propose(request, change));
    },
  );

  app.patch(
    "/cvms/:cvm_id/listed",
    {
      schema: {
        tags,
        summary: "Show a CVM in public lists, or hide it. It does not restart",
        params: cvmParams,
        body: patchListedRequestSchema,
        response: { ...mutationRefusals, 200: listedSchema },
      },
    },
    async (request) => {
      const { vmUuid, settings } = updates.list(namedCvm(store, request), Boolean(request.body.listed));
      return { vm_uuid: vmUuid, listed: settings.listed };
    },
  );

  app.patch(
    "/cvms/:cvm_id/visibility",
    {
      schema: {
        tags,
        summary: "Publish or hide system figures, logs and TCB info. The flags are part of the hashed document",
        params: cvmParams,
        headers: confirmationHeaders,
        body: patchVisibilityRequestSchema.nullish(),
        response: { ...twoPhaseRefusals, 200: visibilitySchema },
      },
    },
    async (request, reply) => {
      const { registration, cvm } = await submit(request, () => parseVisibilityChange(request.body ?? {}));
      if (registration) return reply.code(465).send(registration);
      const document = parseAppCompose(store.operations.runningOf(cvm.id)?.composeText ?? cvm.composeText);
      return {
        ...toCvmDetail20251028(viewCvm(store, kmsRuntime, store.cvms.get(cvm.id)), options.links),
        public_sysinfo: document.public_sysinfo ?? false,
        public_logs: document.public_logs ?? false,
        public_tcbinfo: document.public_tcbinfo ?? false,
      };
    },
  );

  app.get(
    "/cvms/:cvm_id/available-os-images",
    {
      schema: {
        tags,
        summary: "The OS images a CVM can boot",
        params: cvmParams,
        response: { ...refusals, 200: availableOsImagesSchema },
      },
    },
    async (request) => toAvailableOsImages(store.platform.listOsImages(), namedCvm(store, request).settings.osImage),
  );

  app.get(
    "/cvms/:cvm_id/user_config",
    {
      schema: {
        tags,
        summary: "The user config of the guest",
        params: cvmParams,
        response: { ...refusals, 200: userConfigSchema },
      },
    },
    async (request) => parseUserConfig(namedCvm(store, request).settings.userConfig),
  );
};
