import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  composeFileSchema,
  createCvmRequestSchema,
  cvmDetail20251028Schema,
  cvmDetail20260121Schema,
  errorBodySchema,
  isAtLeast,
  provisionCvmRequestSchema,
  provisionCvmSchema,
  vmSchema,
} from "../../cloud/protocol.ts";
import { parseAppCompose } from "../../core/app-compose.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import type { Provisioning } from "../services/provisioning.ts";
import { viewCvm } from "../services/view-cvm.ts";
import type { Store } from "../store/store.ts";
import { toCvmDetail20251028, toCvmDetail20260121, toVm } from "../wire/cvm-answers.ts";
import { toProvisionAnswer } from "../wire/provision-answers.ts";
import { readCreateRequest, readProvisionRequest } from "../wire/read-provision.ts";
import { namedCvm } from "./named-cvm.ts";
import { cvmParams, mutationRefusals, refusals, textAnswer, versionHeaders } from "./schemas.ts";

export interface CvmRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly provisioning: Provisioning;
}

export const cvmRoutes: FastifyPluginAsyncZod<CvmRoutesOptions> = async (app, options) => {
  const { store, kmsRuntime, provisioning } = options;
  const tags = ["cvms"];

  app.get(
    "/cvms/:cvm_id",
    {
      schema: {
        tags,
        summary: "One CVM, in the shape of the API version asked for",
        params: cvmParams,
        headers: versionHeaders,
        response: { ...refusals, 200: z.union([cvmDetail20260121Schema, cvmDetail20251028Schema]) },
      },
    },
    async (request) => {
      const view = viewCvm(store, kmsRuntime, namedCvm(store, request));
      return isAtLeast(request.apiVersion, "2026-01-21") ? toCvmDetail20260121(view) : toCvmDetail20251028(view);
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
        summary: "Plan a CVM: its compose hash and place",
        body: provisionCvmRequestSchema,
        response: { ...mutationRefusals, 200: provisionCvmSchema },
      },
    },
    async ({ body, principal }) =>
      toProvisionAnswer(provisioning.provision(principal.workspace.id, readProvisionRequest(body)), kmsRuntime),
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
      const cvm = provisioning.create(principal.workspace.id, readCreateRequest(body), id);
      return toVm(viewCvm(store, kmsRuntime, cvm), apiVersion);
    },
  );
};
