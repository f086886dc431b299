import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  errorCodes,
  type InstanceTypeAnswer,
  instanceTypeFamiliesSchema,
  instanceTypeFamilySchema,
  osImagePageSchema,
} from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { ApiError } from "../errors.ts";
import { defaultDiskGb, instanceTypeFamily, instanceTypes } from "../services/instance-types.ts";
import type { Platform } from "../store/platform.ts";
import { pageQuery, paginate } from "../wire/page.ts";
import { refusals } from "./schemas.ts";

export interface CatalogRoutesOptions {
  readonly platform: Platform;
}

/** What a CVM can be made of: sizes and guest images. */
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
