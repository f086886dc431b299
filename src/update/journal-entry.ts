import { z } from "zod";
import type { AppId, ComposeHash, Hex, TransactionHash } from "../core/ids.ts";

/** The two calls an update may have to pay for. */
export const paymentSteps = ["addDevice", "addComposeHash"] as const;
export type PaymentStep = (typeof paymentSteps)[number];

function fixedHex<Value extends Hex>(bytes: number) {
  const pattern = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);
  return z.custom<Value>((value) => typeof value === "string" && pattern.test(value), `expected ${bytes} bytes of hex`);
}

const hexData = z.custom<Hex>((value) => typeof value === "string" && /^0x([0-9a-f]{2})*$/.test(value), "expected hex");
const address = fixedHex<Hex>(20);
const transactionHash = fixedHex<TransactionHash>(32);
const wholeNumber = z.string().regex(/^\d{1,78}$/); // wei, gas and heights outgrow JSON's numbers
const chainId = z.int().positive();

/** `update` names one run of the flow from its first PATCH to its end, across crashes and reruns. */
const line = { v: z.literal(1), at: z.iso.datetime(), update: z.string().regex(/^[0-9a-f]{16}$/) };

const subject = {
  cvm: z.string().min(1),
  appId: fixedHex<AppId>(20),
  chainId: chainId.nullable(),
  composeHash: fixedHex<ComposeHash>(32),
  previousComposeHash: fixedHex<ComposeHash>(32).nullable(),
  /** Keyed digest of the environment's values, never the values. Null when the update leaves them alone. */
  environment: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
};

/** A payment belongs to an app and a value, not to one update: another CVM's update may rely on it. */
const payment = { chainId, appId: fixedHex<AppId>(20), step: z.enum(paymentSteps), value: fixedHex<Hex>(32) };

/** One line of the journal. Money moves only between `prepared` and `mined`. */
export const journalEntrySchema = z.discriminatedUnion("type", [
  /** The cloud holds the update and asks for its hash on chain. */
  z.strictObject({ ...line, type: z.literal("patched"), ...subject }),
  /** The cloud took the update at once: no hash to register. */
  z.strictObject({ ...line, type: z.literal("accepted"), ...subject, correlationId: z.string().nullable() }),

  /** Written before the bytes leave this machine; the bytes themselves are here to be sent again. */
  z.strictObject({
    ...line,
    type: z.literal("prepared"),
    ...payment,
    from: address,
    to: address,
    data: hexData,
    nonce: z.int().nonnegative(),
    gas: wholeNumber,
    maxFeePerGas: wholeNumber,
    maxPriorityFeePerGas: wholeNumber,
    /** Head of the chain before signing: the transaction cannot be in an earlier block. */
    head: wholeNumber,
    /** Both null where a remote wallet signs: then only the nonce identifies the transaction. */
    rawTransaction: hexData.nullable(),
    transactionHash: transactionHash.nullable(),
  }),
  z.strictObject({ ...line, type: z.literal("broadcast"), ...payment, transactionHash }),
  /** The receipt holds the event that proves the step. */
  z.strictObject({
    ...line,
    type: z.literal("mined"),
    ...payment,
    transactionHash,
    blockNumber: wholeNumber,
    gasUsed: wholeNumber,
    costWei: wholeNumber,
  }),
  /** The recorded transaction no longer stands for the step, and why another one pays nothing twice. */
  z.strictObject({
    ...line,
    type: z.literal("discarded"),
    ...payment,
    transactionHash: transactionHash.nullable(),
    reason: z.enum(["reverted", "replaced", "undone", "abandoned"]),
    replacedBy: transactionHash.nullable(),
  }),

  z.strictObject({ ...line, type: z.literal("confirming"), transactionHash }),
  z.strictObject({ ...line, type: z.literal("confirmed"), correlationId: z.string().nullable() }),
  z.strictObject({ ...line, type: z.literal("completed") }),
  /** The CVM did not end on the new compose. */
  z.strictObject({ ...line, type: z.literal("failed"), reason: z.string() }),
]);

export type JournalEntry = z.infer<typeof journalEntrySchema>;
export type EntryOf<Type extends JournalEntry["type"]> = Extract<JournalEntry, { type: Type }>;

type WithoutStamp<Entry> = Entry extends unknown ? Omit<Entry, "v" | "at"> : never;
/** What a step hands over; the journal adds format version and time. */
export type NewJournalEntry = WithoutStamp<JournalEntry>;
