import { z } from "zod";

const milliseconds = z.number().int().min(0);
const name = z.string().min(1).max(200);

/** Where and how often a fault strikes. A field that is left out sets no limit. */
const scope = {
  /** Hashid `cvm_…`. */
  cvm: name.optional(),
  /** The fault strikes this many times. Then it is removed. */
  times: z.number().int().min(1).optional(),
  /** Probability per occasion. The seed decides: the same rule and the same occasions give the same strikes. */
  probability: z.number().gt(0).max(1).optional(),
  seed: z.number().int().min(0).default(1),
};

const onRequests = {
  ...scope,
  method: name.optional(),
  /** A path below `/api/v1`, such as `/cvms/:cvm_id/state`. `*` matches any one segment. */
  route: name.startsWith("/").optional(),
};

export const faultRuleSchema = z.discriminatedUnion("kind", [
  /** 429, with `Retry-After` in seconds. */
  z.strictObject({ kind: z.literal("too-many-requests"), ...onRequests, seconds: z.number().int().min(0).default(1) }),
  /** 503, with `Retry-After` in seconds. */
  z.strictObject({
    kind: z.literal("service-unavailable"),
    ...onRequests,
    seconds: z.number().int().min(0).default(1),
  }),
  /** 409, as if another operation on the CVM were running. */
  z.strictObject({ kind: z.literal("busy"), ...onRequests }),
  z.strictObject({ kind: z.literal("latency"), ...onRequests, ms: milliseconds }),
  /** The cloud does the work. Then the connection breaks before the cloud sends the answer. */
  z.strictObject({ kind: z.literal("dropped-response"), ...onRequests }),
  /** The backend's node does not know the receipt yet. */
  z.strictObject({ kind: z.literal("receipt-invisible"), ...scope }),
  /** The backend's node lags: the head it reports, and all state it reads, are this many blocks old. */
  z.strictObject({ kind: z.literal("stale-state"), ...scope, blocks: z.number().int().min(1).default(1) }),
  z.strictObject({ kind: z.literal("rpc-error"), ...scope, rpcMethod: name.optional() }),
  z.strictObject({
    kind: z.literal("rpc-timeout"),
    ...scope,
    rpcMethod: name.optional(),
    ms: milliseconds.default(5000),
  }),
  /** The CVM's rollover takes this much longer. */
  z.strictObject({ kind: z.literal("slow-rollover"), ...scope, ms: milliseconds }),
  /** The KMS refuses the boot, with this reason. */
  z.strictObject({ kind: z.literal("boot-failure"), ...scope, reason: z.string().min(1).max(1000) }),
  /** The cloud sends a webhook that was delivered a second time, under the same id. */
  z.strictObject({ kind: z.literal("duplicate-delivery"), ...scope, event: name.optional() }),
]);

/** A fault rule as the caller gives it. */
export type FaultRule = z.input<typeof faultRuleSchema>;
/** A fault rule with its defaults filled in. */
export type ResolvedFaultRule = z.output<typeof faultRuleSchema>;
export type FaultKind = ResolvedFaultRule["kind"];
export type FaultOf<Kind extends FaultKind> = Extract<ResolvedFaultRule, { kind: Kind }>;

/** A fault that is set. `struck` counts its strikes. */
export type SetFault = ResolvedFaultRule & { readonly id: string; readonly struck: number };
