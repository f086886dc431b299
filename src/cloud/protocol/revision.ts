import { z } from "zod";

/** An accepted change of a CVM of the app. Hashes and ids are hex without `0x`. */
export const revisionSchema = z.looseObject({
  revision_id: z.string(),
  app_id: z.string(),
  vm_uuid: z.string(),
  compose_hash: z.string(),
  created_at: z.string(),
  /** The correlation id of the change. */
  trace_id: z.string().nullish(),
  /** `create` or `update`. */
  operation_type: z.string(),
  cvm: z.looseObject({
    object_type: z.literal("cvm"),
    id: z.string(),
    name: z.string(),
    app_id: z.string(),
    vm_uuid: z.string(),
  }),
});

/** `GET /apps/{app}/revisions`, newest first. */
export const revisionListSchema = z.looseObject({
  revisions: z.array(revisionSchema),
  total: z.number().int(),
  page: z.number().int(),
  page_size: z.number().int(),
  total_pages: z.number().int(),
});

/** `GET /apps/{app}/revisions/{rid}`: the document as an object, or as its exact text with `raw_compose_file=true`. */
export const revisionDetailSchema = revisionSchema.extend({
  compose_file: z.union([z.record(z.string(), z.unknown()), z.string()]),
  encrypted_env: z.string(),
  user_config: z.string(),
});

export type Revision = z.infer<typeof revisionSchema>;
export type RevisionDetail = z.infer<typeof revisionDetailSchema>;
