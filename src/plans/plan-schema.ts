import { z } from "zod";
import {
  type Hex,
  parseAppId,
  parseComposeHash,
  parseDeviceId,
  parseFixedHex,
  parseTransactionHash,
} from "../core/ids.ts";
import { type OwnedContract, ownerFunctions } from "../core/owner-calls.ts";
import { unknownKinds } from "../prune/allowlist-use.ts";

/** A number of at most 256 bits, as decimal digits. */
const bigint = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,77})$/)
  .transform(BigInt);
const count = z.number().int().min(0);
const text = z.string();
const address = hex("An address", 20);
const hash32 = hex("A hash", 32);
const composeHash = text.transform(parseComposeHash);

function hex(what: string, bytes: number) {
  return text.transform((raw): Hex => parseFixedHex(what, raw, bytes));
}

const contract = z.enum(Object.keys(ownerFunctions) as [OwnedContract, ...OwnedContract[]]);
const namedCvm = z.strictObject({ id: text, name: text });
const cvm = z.strictObject({ id: text, name: text, status: text });

const price = z.strictObject({
  ...{ gas: bigint, feePerGas: bigint, executionFee: bigint, l1Fee: bigint, operatorFee: bigint, total: bigint },
});

/** Why a change is planned. */
const reason = z.discriminatedUnion("rule", [
  z.strictObject({ rule: z.literal("requested") }),
  z.strictObject({ rule: z.literal("update"), cvms: z.array(namedCvm).readonly() }),
  z.strictObject({ rule: z.literal("unneeded") }),
  z.strictObject({ rule: z.literal("revoked"), note: text.optional() }),
  z.strictObject({ rule: z.literal("upgrade") }),
]);

/** Why prune keeps a hash. */
const keepReason = z.discriminatedUnion("rule", [
  z.strictObject({ rule: z.literal("running"), cvm }),
  z.strictObject({ rule: z.literal("moving-to"), cvm }),
  z.strictObject({ rule: z.literal("prepared"), cvm, expiresAt: text }),
  z.strictObject({ rule: z.literal("queued"), source: text }),
  z.strictObject({ rule: z.literal("newest"), rank: z.number().int(), keep: z.number().int() }),
  z
    .strictObject({ rule: z.literal("young"), ageSeconds: z.number().int().optional(), olderThanSeconds: count })
    .transform(({ ageSeconds, ...reason }) => ({ ...reason, ageSeconds })),
  z.strictObject({ rule: z.literal("pinned"), source: text }),
  z.strictObject({ rule: z.literal("last") }),
]);

// JSON omits undefined values. The transforms restore the keys, so that a plan from a file has the same keys.
const prune = z.strictObject({
  policy: z
    .strictObject({
      keep: count,
      olderThanSeconds: count.optional(),
      pins: z.array(z.strictObject({ composeHash, source: text })).readonly(),
      queued: z.array(z.strictObject({ source: text, composeHashes: z.array(composeHash).readonly() })).readonly(),
      acceptedUnknowns: z.array(z.enum(unknownKinds)).readonly(),
      mayEmptyList: z.boolean(),
    })
    .transform(({ olderThanSeconds, ...policy }) => ({ ...policy, olderThanSeconds })),
  rows: z
    .array(
      z
        .strictObject({
          composeHash,
          added: z
            .strictObject({
              blockNumber: bigint,
              logIndex: count,
              timestamp: bigint,
              transactionHash: text.transform(parseTransactionHash),
              by: address.optional(),
            })
            .transform(({ by, ...addition }) => ({ ...addition, by }))
            .optional(),
          verdict: z.enum(["keep", "remove"]),
          reasons: z.array(keepReason).readonly(),
        })
        .transform(({ added, ...row }) => ({ ...row, added })),
    )
    .readonly(),
  unknowns: z.array(z.strictObject({ kind: z.enum(unknownKinds), problem: text, isAccepted: z.boolean() })).readonly(),
});

const update = z.strictObject({
  cvms: z
    .array(
      z.strictObject({
        ...{ id: text, name: text, previousComposeHash: composeHash.optional(), composeHash },
        ...{ deviceId: text.transform(parseDeviceId).optional(), isAllowed: z.boolean() },
      }),
    )
    .readonly(),
  app: z.strictObject({ allowAnyDevice: z.boolean(), requireTcbUpToDate: z.boolean() }).optional(),
});

const upgrade = z.strictObject({
  implementation: address,
  codeHash: hash32,
  previousImplementation: address,
  previousCodeHash: hash32,
  generation: text,
  layout: text,
  kms: address.optional(),
});

export const planKind = "dstack-plan";

/** All fields of a plan but its digest. A call is its contract and its calldata; all else of it is derived from those. */
export const planSchema = z
  .strictObject({
    kind: z.literal(planKind),
    schemaVersion: z.literal(1),
    task: text,
    createdBy: text,
    createdAt: z.iso.datetime(),
    chainId: z.number().int().positive(),
    appId: text.transform(parseAppId).optional(),
    kms: address.optional(),
    contracts: z.array(z.strictObject({ contract, address, generation: text })).readonly(),
    owner: z.strictObject({ address, kind: z.enum(["key", "safe", "timelock", "contract"]) }),
    pinned: z.strictObject({ number: bigint, hash: hash32, timestamp: bigint }),
    changes: z
      .array(
        z.strictObject({
          call: z.looseObject({ contract, to: address, data: text.regex(/^0x(?:[0-9a-f]{2})+$/) }),
          reason,
        }),
      )
      .readonly(),
    accepted: z.array(text).readonly(),
    price: z.strictObject({ transactions: count, baseFeePerGas: bigint, expected: price, most: price }).nullable(),
    update: update.optional(),
    prune: prune.optional(),
    upgrade: upgrade.optional(),
  })
  .transform(({ appId, kms, ...plan }) => ({ ...plan, appId, kms }));
