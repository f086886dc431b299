import type { FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  type ApiVersion,
  type CvmInfo20260121,
  createAppInstanceRequestSchema,
  cvmInfo20260121Schema,
  errorBodySchema,
  instanceRegistrationBodySchema,
  isAtLeast,
  type ReplicateCvmRequest,
  replicateCvmRequestSchema,
  type Vm,
  vmSchema,
} from "../../cloud/protocol.ts";
import { cvmNotFound, unauthorized } from "../errors.ts";
import { toCvmInfo20260121 } from "../http/cvm-answers.ts";
import type { Links } from "../http/links.ts";
import { parseInstanceRequest, parseReplicaRequest } from "../http/provision-requests.ts";
import { parseTokenCommit } from "../http/requests.ts";
import { appParams, cvmParams, mutationRefusals, prepareHeaders } from "../http/schemas.ts";
import { toInstanceRegistrationBody } from "../http/update-answers.ts";
import { findAppCvms, findCvm, viewCvm } from "../services/find.ts";
import type { InstanceOutcome, Instances } from "../services/instances.ts";
import type { KmsRuntime } from "../services/kms.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import type { Principal } from "../store/workspaces.ts";
import { namedCvm, type VmAnswer } from "./cvms.ts";

export interface InstanceRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly instances: Instances;
  readonly vmAnswer: VmAnswer;
  readonly links: Links;
}

const commitRefusals = { ...mutationRefusals, 466: errorBodySchema, 467: errorBodySchema, 468: errorBodySchema };
const createRefusals = { ...commitRefusals, 465: instanceRegistrationBodySchema };
const tokenQuery = z.object({ token: z.string().optional() });

/** Formats a new CVM in the shape of an API version. */
type InstanceAnswer = (cvm: Cvm, version: ApiVersion) => Vm | CvmInfo20260121;

/** Replicas and new instances of existing apps. */
export const instanceRoutes: FastifyPluginAsyncZod<InstanceRoutesOptions> = async (app, options) => {
  const { store, kmsRuntime, instances, vmAnswer, links } = options;
  const tags = ["instances"];

  /** Answers 465 with a token if a contract does not allow the new CVM yet, else the CVM. */
  async function answer(
    { id, apiVersion }: Pick<FastifyRequest, "id" | "apiVersion">,
    reply: FastifyReply,
    outcome: InstanceOutcome,
    { commitPath, describe = vmAnswer }: { readonly commitPath: string; readonly describe?: InstanceAnswer },
  ): Promise<FastifyReply> {
    if (outcome.kind === "created") return reply.send(describe(outcome.cvm, apiVersion));
    const body = toInstanceRegistrationBody(outcome, {
      commitUrl: links.api(commitPath),
      localRpcUrl: kmsRuntime.localRpcUrl(outcome.kms.id),
      requestId: id,
    });
    return reply.code(465).send(body);
  }

  async function replicate(
    request: Pick<FastifyRequest, "id" | "apiVersion" | "headers"> & { readonly body?: ReplicateCvmRequest | null },
    reply: FastifyReply,
    source: Cvm,
  ) {
    const outcome = await instances.replicate(source, parseReplicaRequest(request.body ?? {}, request));
    return answer(request, reply, outcome, { commitPath: `/cvms/${source.vmUuid}/commit-replica` });
  }

  app.post(
    "/cvms/:cvm_id/replicas",
    {
      schema: {
        tags,
        summary: "Add a copy of this CVM",
        params: cvmParams,
        headers: prepareHeaders,
        body: replicateCvmRequestSchema.nullish(),
        response: { ...createRefusals, 200: vmSchema },
      },
    },
    async (request, reply) => {
      return replicate(request, reply, namedCvm(store, request));
    },
  );

  app.post(
    "/apps/:app_id/cvms/:cvm_id/replicas",
    {
      schema: {
        tags,
        summary: "Add a copy of this CVM of the app",
        params: appParams.extend(cvmParams.shape),
        headers: prepareHeaders,
        body: replicateCvmRequestSchema.nullish(),
        response: { ...createRefusals, 200: vmSchema },
      },
    },
    async (request, reply) => {
      const { app_id, cvm_id } = request.params;
      const { id: workspaceId } = request.principal.workspace;
      const source = findCvm(store.cvms, workspaceId, cvm_id);
      const ofApp = findAppCvms(store.cvms, workspaceId, app_id);
      if (!ofApp.some(({ id }) => id === source.id)) throw cvmNotFound(cvm_id);
      return replicate(request, reply, source);
    },
  );

  app.post(
    "/apps/:app_id/instances",
    {
      schema: {
        tags,
        summary: "Add a CVM to an app or, with a token, create the prepared one",
        description: "With a token in the body or the URL, no API key is needed, because the token is the credential.",
        security: [{ apiKey: [] }, {}],
        params: appParams,
        headers: prepareHeaders,
        querystring: tokenQuery,
        body: createAppInstanceRequestSchema.nullish(),
        response: { ...createRefusals, 200: z.union([cvmInfo20260121Schema, vmSchema]) },
      },
      config: { isTokenEnough: true },
    },
    async (request, reply) => {
      const { query, params } = request;
      const body = request.body ?? {};
      const commit = body.token || query.token ? parseTokenCommit(body, query.token) : undefined;
      const workspaceId = commit ? instances.find(commit.token).workspaceId : requirePrincipal(request).workspace.id;
      const ofApp = findAppCvms(store.cvms, workspaceId, params.app_id);
      const [{ appId }] = ofApp;
      const outcome: InstanceOutcome = commit
        ? { kind: "created", cvm: await instances.commit(workspaceId, appId, commit, request.id) }
        : await instances.create(ofApp, parseInstanceRequest(body, request));
      return answer(request, reply, outcome, {
        commitPath: `/apps/${appId.slice(2)}/instances`,
        describe: (cvm, version) =>
          isAtLeast(version, "2026-05-22")
            ? toCvmInfo20260121(viewCvm(store, kmsRuntime, cvm))
            : vmAnswer(cvm, version),
      });
    },
  );
};

/** @throws ApiError 401 */
function requirePrincipal({ principal }: { readonly principal: Principal | undefined }): Principal {
  if (!principal) throw unauthorized();
  return principal;
}
