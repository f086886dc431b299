import { z } from "zod";

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

export type TcbInfo = z.infer<typeof tcbInfoSchema>;
export type Attestation = z.infer<typeof attestationSchema>;
