import { z } from "zod";
import type { Ledger } from "../chain/transactions/ledger.ts";
import type { AppId, ComposeHash, Hex } from "../core/ids.ts";
import { LedgerError } from "../errors/index.ts";

/** The two calls an update may have to pay for, in the order in which they are sent. */
export const paymentSteps = ["addDevice", "addComposeHash"] as const;
export type PaymentStep = (typeof paymentSteps)[number];

function fixedHex<Value extends Hex>(bytes: number) {
  const pattern = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);
  return z.custom<Value>((value) => typeof value === "string" && pattern.test(value), `expected ${bytes} bytes of hex`);
}

const recordSchema = z.strictObject({
  /**
   * `patched`: the cloud holds the update and asks for its hash to be allowed on chain. `confirming`: it is about to get
   * the transaction. `confirmed`: it has accepted the update. `failed`: the CVM did not end on the new compose.
   */
  status: z.enum(["patched", "confirming", "confirmed", "completed", "failed"]),
  appId: fixedHex<AppId>(20),
  /** The CVM. */
  key: z.string().min(1),
  /** Null for a KMS that keeps its policy off chain. */
  chainId: z.int().positive().nullable(),
  composeHash: fixedHex<ComposeHash>(32),
  previousComposeHash: fixedHex<ComposeHash>(32).nullable(),
  /** Keyed digest of the environment's values, never the values. Null if the update does not change them. */
  environment: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  correlationId: z.string().nullable(),
  /** What the update paid for. Known from `confirming` on. */
  payments: z.array(z.strictObject({ step: z.enum(paymentSteps), value: fixedHex<Hex>(32) })).readonly(),
});

/** How far the latest update of a CVM has come in the cloud. It is replaced at each step, and by the next update. */
export type UpdateRecord = Readonly<z.infer<typeof recordSchema>>;

/** The record of how far the latest update of each CVM has come in the cloud. */
export interface ProgressPort {
  /** @throws LedgerError if the record cannot be read */
  read(cvm: CvmKey): UpdateRecord | undefined;
  /** Replaces the record of the CVM. Returns when the new one would survive a power failure. */
  write(record: UpdateRecord): void;
}

export interface CvmKey {
  readonly appId: AppId;
  /** The CVM's name in the ledger, independent of the name that the caller used. */
  readonly key: string;
}

const topic = "update";

/** Keeps the progress of updates as notes of the ledger. What is read may be wrong, and is never enough to pay. */
export function connectProgress(ledger: Ledger): ProgressPort {
  return {
    read({ appId, key }) {
      const note = ledger.readNotes(topic).get(`${appId} ${key}`);
      if (note === undefined) return undefined;
      const { data: record, error: cause } = recordSchema.safeParse(note);
      if (record?.appId === appId && record.key === key) return record;
      const detail = `its note about the update of ${key} cannot be read`;
      throw new LedgerError(ledger.path, "damaged", { cause, detail });
    },
    write: (record) => ledger.writeNote(topic, `${record.appId} ${record.key}`, record),
  };
}
