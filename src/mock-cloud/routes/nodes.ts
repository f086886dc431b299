import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { availableNodesSchema, cvmCreateResourcesSchema, type NodeCapacity } from "../../cloud/protocol.ts";
import type { Fleet } from "../services/fleet.ts";
import { defaultDiskGb, instanceTypeFamily, instanceTypes } from "../services/instance-types.ts";
import { listKmsContracts } from "../services/kms-contracts.ts";
import type { Platform } from "../store/platform.ts";
import { toKmsInfo } from "../wire/kms-answers.ts";
import { toNodeCapacity } from "../wire/node-answers.ts";
import { refusals } from "./schemas.ts";

export interface NodeRoutesOptions {
  readonly platform: Platform;
  readonly fleet: Fleet;
}

/** The API's old word for a node is teepod. */
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
        summary: "Nodes a CVM can be put on, what is left on them, and the KMS they know",
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
        summary: "What a new CVM can be made of, and what goes together",
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
