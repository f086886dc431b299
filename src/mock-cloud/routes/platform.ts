import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  availableNodesSchema,
  cvmCreateResourcesSchema,
  errorCodes,
  type InstanceTypeAnswer,
  instanceTypeFamiliesSchema,
  instanceTypeFamilySchema,
  type NodeCapacity,
  osImagePageSchema,
} from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { ApiError } from "../errors.ts";
import { pageQuery, paginate } from "../http/error-answers.ts";
import { toKmsInfo, toNodeCapacity } from "../http/platform-answers.ts";
import { refusals } from "../http/schemas.ts";
import { defaultDiskGb, type Fleet, instanceTypeFamily, instanceTypes } from "../services/fleet.ts";
import { listKmsContracts } from "../services/kms.ts";
import type { Platform } from "../store/platform.ts";

export interface CatalogRoutesOptions {
  readonly platform: Platform;
}

/** The sizes and OS images that a CVM can have. */
export const catalogRoutes: FastifyPluginAsyncZod<CatalogRoutesOptions> = async (app, { platform }) => {
  const tags = ["catalog"];

  app.get(
    "/instance-types",
    {
      schema: {
        tags,
        summary: "Sizes of CVMs, by family",
        response: { ...refusals, 200: instanceTypeFamiliesSchema },
      },
    },
    async () => {
      const items = describeInstanceTypes();
      return { result: [{ name: instanceTypeFamily, items, total: items.length }] };
    },
  );

  app.get(
    "/instance-types/:family",
    {
      schema: {
        tags,
        summary: "Sizes of CVMs of one family",
        params: z.object({ family: z.string() }),
        response: { ...refusals, 200: instanceTypeFamilySchema },
      },
    },
    async ({ params: { family } }) => {
      if (family !== instanceTypeFamily) {
        throw new ApiError(404, errorCodes.instanceTypeNotFound, `There is no family of instance types "${family}".`);
      }
      const items = describeInstanceTypes();
      return { items, total: items.length, family };
    },
  );

  app.get(
    "/os-images",
    {
      schema: {
        tags,
        summary: "Guest images",
        querystring: pageQuery.extend({ is_dev: z.enum(["true", "false"]).optional() }),
        response: { ...refusals, 200: osImagePageSchema },
      },
    },
    async ({ query }) => {
      const wanted = query.is_dev === undefined ? undefined : query.is_dev === "true";
      const images = platform.listOsImages().filter(({ isDev }) => wanted === undefined || isDev === wanted);
      return paginate(
        images.map(({ name, version, osImageHash, isDev }) => ({
          name,
          slug: name,
          version,
          os_image_hash: withoutPrefix(osImageHash),
          is_dev: isDev,
          requires_gpu: false,
        })),
        query,
      );
    },
  );
};

function describeInstanceTypes(): InstanceTypeAnswer[] {
  return instanceTypes.map(({ name, vcpu, memoryMb, hourlyRate }) => ({
    id: name,
    name,
    description: `${vcpu} vCPU, ${memoryMb / 1024} GB of memory`,
    vcpu,
    memory_mb: memoryMb,
    hourly_rate: hourlyRate,
    requires_gpu: false,
    default_disk_size_gb: defaultDiskGb,
    family: instanceTypeFamily,
  }));
}

export interface NodeRoutesOptions {
  readonly platform: Platform;
  readonly fleet: Fleet;
}

/** The API's older word for a node is "teepod". */
export const nodeRoutes: FastifyPluginAsyncZod<NodeRoutesOptions> = async (app, { platform, fleet }) => {
  const tags = ["nodes"];

  const describeNodes = (): NodeCapacity[] => {
    const shared = { osImages: platform.listOsImages(), kms: platform.listKms() };
    return platform.listNodes().map((node) => toNodeCapacity({ node, remaining: fleet.remaining(node), ...shared }));
  };

  app.get(
    "/teepods/available",
    {
      schema: {
        tags,
        summary: "Nodes for a CVM, with their free capacity and their KMS",
        response: { ...refusals, 200: availableNodesSchema },
      },
    },
    async () => ({
      tier: "free",
      capacity: {},
      nodes: describeNodes(),
      kms_list: platform.listKms().map(toKmsInfo),
    }),
  );

  app.get(
    "/teepods/cvm-create-resources",
    {
      schema: {
        tags,
        summary: "The options for a new CVM, and their valid combinations",
        response: { ...refusals, 200: cvmCreateResourcesSchema },
      },
    },
    async () => {
      const supported_os_images = platform.listOsImages().map(({ name }) => name);
      const kmsNodes = listKmsContracts(platform).flatMap(({ id, nodes }) =>
        nodes.map((kms) => ({
          ...toKmsInfo(kms),
          kms_type: kms.type,
          kms_contract_id: id,
          supported_os_images,
        })),
      );
      return {
        tier: "free",
        capacity: {},
        nodes: describeNodes(),
        kms_nodes: kmsNodes,
        node_kms_relations: platform.listNodes().flatMap((node) =>
          kmsNodes.map(({ id, kms_type, kms_contract_id, kms_contract_address }) => ({
            teepod_id: node.id,
            kms_id: id,
            kms_type,
            kms_contract_id,
            kms_contract_address,
            supported_os_images,
          })),
        ),
        gateway_nodes: [],
        instance_types: instanceTypes.map(({ name, vcpu, memoryMb }, index) => ({
          id: name,
          name,
          vcpu,
          memory_mb: memoryMb,
          default_disk_size_gb: defaultDiskGb,
          requires_gpu: false,
          requires_gpu_count: 0,
          family: instanceTypeFamily,
          display_order: index,
        })),
        gpu_availability: {
          has_reserved_gpus: false,
          reserved_gpu_count: 0,
          has_public_gpus: false,
          public_gpu_count: 0,
        },
      };
    },
  );
};
