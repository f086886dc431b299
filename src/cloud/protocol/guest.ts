import { z } from "zod";

/**
 * `GET /cvms/{id}/stats`. Sizes in bytes, uptime in seconds. `sysinfo` is null unless the CVM's owner made it public.
 */
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

/** Measurements as hex without `0x`, and the events that lead to `rtmr3`. `app_compose` is the document's exact text. */
export const tcbInfoSchema = z.looseObject({
  mrtd: z.string(),
  rootfs_hash: z.string().nullish(),
  rtmr0: z.string(),
  rtmr1: z.string(),
  rtmr2: z.string(),
  rtmr3: z.string(),
  event_log: z.array(
    z.looseObject({
      imr: z.number().int(),
      event_type: z.number().int(),
      digest: z.string(),
      event: z.string(),
      event_payload: z.string(),
    }),
  ),
  app_compose: z.string(),
});

/** `GET /cvms/{id}/attestation`. */
export const attestationSchema = z.looseObject({
  name: z.string().nullable(),
  is_online: z.boolean(),
  is_public: z.boolean(),
  error: z.string().nullable(),
  app_certificates: z.array(z.never()).nullable(),
  tcb_info: tcbInfoSchema.nullable(),
  compose_file: z.string().nullable(),
});

/** What a KMS or gateway reports about the guest it runs in. */
const guestAgentSchema = z
  .looseObject({
    app_id: z.string().optional(),
    instance_id: z.string().optional(),
    app_name: z.string().optional(),
    device_id: z.string().optional(),
  })
  .nullable();

/**
 * `GET /apps/{app}/attestations`: every instance of an app, its KMS and its gateway. Clients reject null for an address
 * or URL, so a missing one is an empty text. Only here, the chain id is decimal text.
 */
export const appAttestationSchema = z.looseObject({
  app_id: z.string(),
  contract_address: z.string(),
  kms_info: z.looseObject({
    contract_address: z.string(),
    chain_id: z.string().nullable(),
    version: z.string(),
    url: z.string(),
    gateway_app_id: z.string().nullable(),
    gateway_app_url: z.string(),
    kms_type: z.string(),
  }),
  instances: z.array(
    z.looseObject({
      vm_uuid: z.string(),
      name: z.string(),
      instance_id: z.string(),
      status: z.string(),
      image_version: z.string().nullable(),
      quote: z.string().nullable(),
      device_id: z.string(),
      tcb_info: tcbInfoSchema.nullable(),
      app_certificates: z.array(z.never()).nullable(),
      compose_file: z.string().nullable(),
      error: z.string().nullable(),
    }),
  ),
  kms_guest_agent_info: guestAgentSchema,
  gateway_guest_agent_info: guestAgentSchema,
  qemu_version: z.string().nullable(),
});

export type TcbInfo = z.infer<typeof tcbInfoSchema>;
export type Attestation = z.infer<typeof attestationSchema>;
export type AppAttestation = z.infer<typeof appAttestationSchema>;
