import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  appPublicKeySchema,
  isAtLeast,
  kmsContractListSchema,
  kmsContractNodesSchema,
  kmsContractSchema,
  kmsInfoSchema,
  kmsListSchema,
  kmsOnChainDetailSchema,
  nextAppIdsSchema,
} from "../../cloud/protocol.ts";
import { parseAppId, withoutPrefix } from "../../core/ids.ts";
import { pageQuery, paginate } from "../http/error-answers.ts";
import { toKmsContract, toKmsInfo } from "../http/platform-answers.ts";
import { parseAt } from "../http/requests.ts";
import { described, refusals, versionHeaders } from "../http/schemas.ts";
import { findKms } from "../services/find.ts";
import {
  describeOnChainKms,
  findKmsContract,
  type KmsContract,
  type KmsRuntime,
  listKmsContracts,
} from "../services/kms.ts";
import { deriveAppId } from "../services/provisioning.ts";
import type { Store } from "../store/store.ts";

export interface KmsRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
}

const kmsParams = z.object({ kms: described(z.string(), "Id, slug, or `base`, `ethereum`, `phala`.") });

export const kmsRoutes: FastifyPluginAsyncZod<KmsRoutesOptions> = async (app, { store, kmsRuntime }) => {
  const tags = ["kms"];
  const { platform } = store;

  const contractAnswer = (contract: KmsContract) => {
    const [{ id }] = contract.nodes;
    return toKmsContract(contract, kmsRuntime.isUp(id) ? kmsRuntime.signingPublicKey(id) : null);
  };

  app.get(
    "/kms",
    {
      schema: {
        tags,
        summary: "List key management services; from 2026-06-23 on by contract",
        headers: versionHeaders,
        querystring: pageQuery.extend({ is_onchain: z.enum(["true", "false"]).optional() }),
        response: { ...refusals, 200: z.union([kmsContractListSchema, kmsListSchema]) },
      },
    },
    async ({ query, apiVersion }) => {
      const wanted = query.is_onchain === undefined ? undefined : query.is_onchain === "true";
      const isWanted = (chainId: number | null) => wanted === undefined || (chainId !== null) === wanted;
      if (isAtLeast(apiVersion, "2026-06-23")) {
        const contracts = listKmsContracts(platform).filter(({ nodes: [{ chainId }] }) => isWanted(chainId));
        return paginate(contracts.map(contractAnswer), query);
      }
      const all = platform.listKms().filter(({ chainId }) => isWanted(chainId));
      return paginate(all.map(toKmsInfo), query);
    },
  );

  app.get(
    "/kms/:kms",
    {
      schema: {
        tags,
        summary: "One KMS; from 2026-06-23 on its contract",
        headers: versionHeaders,
        params: kmsParams,
        response: { ...refusals, 200: z.union([kmsContractSchema, kmsInfoSchema]) },
      },
    },
    async ({ params, apiVersion }) =>
      isAtLeast(apiVersion, "2026-06-23")
        ? contractAnswer(findKmsContract(platform, params.kms))
        : toKmsInfo(findKms(platform, params.kms)),
  );

  app.get(
    "/kms/:kms/nodes",
    {
      schema: {
        tags,
        summary: "The KMS nodes that share a contract",
        params: kmsParams,
        response: { ...refusals, 200: kmsContractNodesSchema },
      },
    },
    async ({ params }) => {
      const { nodes } = findKmsContract(platform, params.kms);
      const items = nodes.map(({ id, slug, url, version, type }) => ({ id, slug, url, version, kms_type: type }));
      return { items, total: items.length };
    },
  );

  app.get(
    "/kms/on-chain/:chain",
    {
      schema: {
        tags,
        summary: "The KMS contracts of a chain, with the devices and OS images that they allow",
        params: z.object({ chain: described(z.string(), "`base` or `ethereum`.") }),
        response: { ...refusals, 200: kmsOnChainDetailSchema },
      },
    },
    async ({ params }) => describeOnChainKms(platform, kmsRuntime, params.chain),
  );

  app.get(
    "/kms/phala/next_app_id",
    {
      schema: {
        tags,
        summary: "Free app ids, each with the nonce to provision it",
        querystring: z.object({ counts: z.coerce.number().int().min(1).max(20).default(1) }),
        response: { ...refusals, 200: nextAppIdsSchema },
      },
    },
    async ({ query, principal }) => {
      const { id } = principal.workspace;
      const first = store.cvms.nextAppNonce(id);
      const nonces = Array.from({ length: query.counts }, (_, index) => first + index);
      return { app_ids: nonces.map((nonce) => ({ app_id: withoutPrefix(deriveAppId(id, nonce)), nonce })) };
    },
  );

  app.get(
    "/kms/:kms/pubkey/:app_id",
    {
      schema: {
        tags,
        summary: "The key to encrypt an app's environment to, signed by the KMS",
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
