import { z } from "zod";

const milliseconds = z.number().int().min(0);
const name = z.string().min(1).max(200);

/** Where and how often a fault strikes. Left out, each of these narrows nothing. */
const scope = {
  /** Hashid `cvm_…`. */
  cvm: name.optional(),
  /** Strikes this many times, then is gone. */
  times: z.number().int().min(1).optional(),
  /** Chance per occasion, decided by the seed: the same rule and the same occasions give the same strikes. */
  probability: z.number().gt(0).max(1).optional(),
  seed: z.number().int().min(0).default(1),
};

const onRequests = {
  ...scope,
  method: name.optional(),
  /** Below `/api/v1`, such as `/cvms/:cvm_id/state`; `*` stands for any one segment. */
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
  /** 409, as if another operation on the CVM were under way. */
  z.strictObject({ kind: z.literal("busy"), ...onRequests }),
  z.strictObject({ kind: z.literal("latency"), ...onRequests, ms: milliseconds }),
  /** The work is done, and the connection breaks before its answer is sent. */
  z.strictObject({ kind: z.literal("dropped-response"), ...onRequests }),
  /** The backend's node does not know the receipt yet. */
  z.strictObject({ kind: z.literal("receipt-invisible"), ...scope }),
  /** The backend's node lags: its head, and all state read from it, are this many blocks old. */
  z.strictObject({ kind: z.literal("stale-state"), ...scope, blocks: z.number().int().min(1).default(1) }),
  z.strictObject({ kind: z.literal("rpc-error"), ...scope, rpcMethod: name.optional() }),
  z.strictObject({
    kind: z.literal("rpc-timeout"),
    ...scope,
    rpcMethod: name.optional(),
    ms: milliseconds.default(5000),
  }),
  /** The CVM takes this much longer to change over. */
  z.strictObject({ kind: z.literal("slow-rollover"), ...scope, ms: milliseconds }),
  /** The KMS refuses the boot, with this reason. */
  z.strictObject({ kind: z.literal("boot-failure"), ...scope, reason: z.string().min(1).max(1000) }),
  /** A webhook that got through is sent again, under the same id. */
  z.strictObject({ kind: z.literal("duplicate-delivery"), ...scope, event: name.optional() }),
]);

/** A fault as it is set. */
export type FaultRule = z.input<typeof faultRuleSchema>;
/** The same with its defaults. */
export type ResolvedFaultRule = z.output<typeof faultRuleSchema>;
export type FaultKind = ResolvedFaultRule["kind"];
export type FaultOf<Kind extends FaultKind> = Extract<ResolvedFaultRule, { kind: Kind }>;

/** A fault that is set, and how often it has struck. */
export type SetFault = ResolvedFaultRule & { readonly id: string; readonly struck: number };
