import { z } from "zod";

/** `GET /cvms/{id}/stats`. Sizes in bytes, uptime in seconds. `sysinfo` is null unless its owner made it public. */
export const cvmStatsSchema = z.looseObject({
  is_online: z.boolean(),
  is_public: z.boolean(),
  error: z.string().nullable(),
  sysinfo: z
    .looseObject({
      os_name: z.string(),
      os_version: z.string(),
      kernel_version: z.string(),
      cpu_model: z.string(),
      num_cpus: z.number(),
      total_memory: z.number(),
      available_memory: z.number(),
      used_memory: z.number(),
      free_memory: z.number(),
      total_swap: z.number(),
      used_swap: z.number(),
      free_swap: z.number(),
      uptime: z.number(),
      loadavg_one: z.number(),
      loadavg_five: z.number(),
      loadavg_fifteen: z.number(),
      disks: z.array(
        z.looseObject({ name: z.string(), mount_point: z.string(), total_size: z.number(), free_size: z.number() }),
      ),
    })
    .nullable(),
  status: z.string().nullable(),
  in_progress: z.boolean(),
  boot_progress: z.string().nullable(),
  boot_error: z.string().nullable(),
});

/** `GET /cvms/{id}/network`. */
export const cvmNetworkSchema = z.looseObject({
  is_online: z.boolean(),
  is_public: z.boolean(),
  error: z.string().nullable(),
  internal_ip: z.string().nullable(),
  latest_handshake: z.string().nullable(),
  public_urls: z.array(z.looseObject({ app: z.string(), instance: z.string() })).nullable(),
});

/** `GET /cvms/{id}/composition`. `created` in seconds since 1970. */
export const cvmCompositionSchema = z.looseObject({
  is_online: z.boolean(),
  is_public: z.boolean(),
  error: z.string().nullable(),
  docker_compose_file: z.string().nullable(),
  manifest_version: z.number().nullable(),
  version: z.string().nullable(),
  runner: z.string().nullable(),
  features: z.array(z.string()).nullable(),
  containers: z
    .array(
      z.looseObject({
        id: z.string(),
        names: z.array(z.string()),
        image: z.string(),
        image_id: z.string(),
        command: z.string().nullish(),
        created: z.number(),
        state: z.string(),
        status: z.string(),
        log_endpoint: z.string().nullable(),
      }),
    )
    .nullable(),
});

export type CvmStats = z.infer<typeof cvmStatsSchema>;
export type CvmNetwork = z.infer<typeof cvmNetworkSchema>;
export type CvmComposition = z.infer<typeof cvmCompositionSchema>;
