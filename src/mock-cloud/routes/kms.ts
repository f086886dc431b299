import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { appPublicKeySchema, kmsInfoSchema, kmsListSchema } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/hex.ts";
import { parseAppId } from "../../core/ids.ts";
import { findKms } from "../services/find-kms.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import type { Platform } from "../store/platform.ts";
import { toKmsInfo } from "../wire/kms-answers.ts";
import { parseAt } from "../wire/read-confirmation.ts";
import { described, refusals } from "./schemas.ts";

export interface KmsRoutesOptions {
  readonly platform: Platform;
  readonly kmsRuntime: KmsRuntime;
}

const kmsParams = z.object({ kms: described(z.string(), "Id, slug, or `base`, `ethereum`, `phala`.") });

export const kmsRoutes: FastifyPluginAsyncZod<KmsRoutesOptions> = async (app, { platform, kmsRuntime }) => {
  app.get(
    "/kms",
    {
      schema: {
        tags: ["kms"],
        summary: "List key management services",
        querystring: z.object({
          page: z.coerce.number().int().min(1).default(1),
          page_size: z.coerce.number().int().min(1).max(1000).default(30),
          is_onchain: z.enum(["true", "false"]).optional(),
        }),
        response: { ...refusals, 200: kmsListSchema },
      },
    },
    async ({ query }) => {
      const wanted = query.is_onchain === undefined ? undefined : query.is_onchain === "true";
      const all = platform.listKms().filter(({ chainId }) => wanted === undefined || (chainId !== null) === wanted);
      const from = (query.page - 1) * query.page_size;
      return {
        items: all.slice(from, from + query.page_size).map(toKmsInfo),
        total: all.length,
        page: query.page,
        page_size: query.page_size,
        pages: Math.ceil(all.length / query.page_size),
      };
    },
  );

  app.get(
    "/kms/:kms",
    { schema: { tags: ["kms"], summary: "One KMS", params: kmsParams, response: { ...refusals, 200: kmsInfoSchema } } },
    async ({ params }) => toKmsInfo(findKms(platform, params.kms)),
  );

  app.get(
    "/kms/:kms/pubkey/:app_id",
    {
      schema: {
        tags: ["kms"],
        summary: "The key an app's environment is encrypted to, signed by the KMS",
        params: kmsParams.extend({ app_id: z.string() }),
        response: { ...refusals, 200: appPublicKeySchema },
      },
    },
    async ({ params }) => {
      const kms = findKms(platform, params.kms);
      const appId = parseAt(["path", "app_id"], () => parseAppId(params.app_id));
      const { publicKey } = kmsRuntime.appKey(kms.id, appId);
      return {
        public_key: withoutPrefix(publicKey),
        signature: withoutPrefix(kmsRuntime.signAppKey(kms.id, appId, publicKey)),
      };
    },
  );
};
