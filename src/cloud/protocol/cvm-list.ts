import { z } from "zod";
import { cvmDetail20260121Schema } from "./cvm.ts";
import { kmsInfoSchema } from "./kms.ts";
import { pageSchema } from "./page.ts";

/** A CVM in lists at 2025-10-28. `memory` in MB, `disk_size` in GB. */
export const cvmInfo20251028Schema = z.looseObject({
  hosted: z.looseObject({
    id: z.string(),
    name: z.string(),
    status: z.string(),
    uptime: z.string(),
    app_url: z.string().nullable(),
    app_id: z.string(),
    instance_id: z.string().nullable(),
    exited_at: z.string().nullable(),
    boot_progress: z.string().nullable(),
    boot_error: z.string().nullable(),
    shutdown_progress: z.string().nullable(),
    image_version: z.string().nullable(),
  }),
  name: z.string(),
  managed_user: z.looseObject({ id: z.number().int(), username: z.string() }).nullable(),
  node: z.looseObject({ id: z.number().int(), name: z.string(), region_identifier: z.string().nullish() }).nullable(),
  listed: z.boolean(),
  status: z.string(),
  in_progress: z.boolean(),
  dapp_dashboard_url: z.string().nullable(),
  syslog_endpoint: z.string().nullable(),
  allow_upgrade: z.boolean(),
  project_id: z.string().nullable(),
  project_type: z.string().nullable(),
  billing_period: z.string().nullable(),
  kms_info: kmsInfoSchema.nullable(),
  vcpu: z.number().nullable(),
  memory: z.number().nullable(),
  disk_size: z.number().nullable(),
  gateway_domain: z.string().nullable(),
  public_urls: z.array(z.looseObject({ app: z.string(), instance: z.string() })),
  updated_at: z.string().nullish(),
});

/** A CVM in lists from 2026-01-21 on: its detail without the document. */
export const cvmInfo20260121Schema = cvmDetail20260121Schema.omit({ compose_file: true });

/** `GET /apps/{app}/cvms` from 2026-01-21 on. */
export const cvmInfoListSchema = z.array(cvmInfo20260121Schema);

/** `GET /cvms/paginated`. */
export const cvmPage20251028Schema = pageSchema(cvmInfo20251028Schema);
export const cvmPage20260121Schema = pageSchema(cvmInfo20260121Schema);

/** `POST /status/batch`. UUIDs in any form; the answer has them as they were sent. */
export const statusBatchRequestSchema = z.looseObject({ vm_uuids: z.array(z.string()).max(100) });

/** UUIDs that nothing in the workspace has are left out. */
export const statusBatchSchema = z.record(
  z.string(),
  z.looseObject({
    vm_uuid: z.string(),
    status: z.string(),
    in_progress: z.boolean(),
    uptime: z.string().nullable(),
    boot_progress: z.string().nullable(),
    boot_error: z.string().nullable(),
    operation_type: z.string().nullable(),
    operation_started_at: z.string().nullable(),
    correlation_id: z.string().nullable(),
  }),
);

export type CvmInfo20251028 = z.infer<typeof cvmInfo20251028Schema>;
export type CvmInfo20260121 = z.infer<typeof cvmInfo20260121Schema>;
export type StatusBatch = z.infer<typeof statusBatchSchema>;
