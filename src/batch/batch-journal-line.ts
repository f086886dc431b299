import { z } from "zod";
import { decodePolicyCall } from "../core/batch/policy-call.ts";
import type { Hex } from "../core/hex.ts";
import type { TransactionHash } from "../core/ids.ts";
import type { BatchEntry } from "./batch-journal.ts";

function fixedHex<Value extends Hex>(bytes: number) {
  const pattern = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);
  return z.custom<Value>((value) => typeof value === "string" && pattern.test(value), `expected ${bytes} bytes of hex`);
}

const hexData = z.custom<Hex>((value) => typeof value === "string" && /^0x([0-9a-f]{2})*$/.test(value), "expected hex");
const address = fixedHex<Hex>(20);
const transactionHash = fixedHex<TransactionHash>(32);
const wholeNumber = z.string().regex(/^\d{1,78}$/); // wei and gas outgrow JSON's numbers

/** `at` is for people; a transaction is known by chain, sender and nonce. */
const line = {
  v: z.literal(1),
  at: z.iso.datetime(),
  chainId: z.int().positive(),
  from: address,
  nonce: z.int().nonnegative(),
};

/** One line of a batch journal. */
export const batchJournalLineSchema = z.discriminatedUnion("type", [
  /** Written before the bytes leave this machine; they are here to be sent again. */
  z.strictObject({
    ...line,
    type: z.literal("prepared"),
    to: address,
    data: hexData,
    gas: wholeNumber,
    maxFeePerGas: wholeNumber,
    maxPriorityFeePerGas: wholeNumber,
    functionName: z.string(),
    /** Both null where the node or a wallet signs. */
    rawTransaction: hexData.nullable(),
    transactionHash: transactionHash.nullable(),
    authorizes: z.boolean(),
    calls: z.array(z.strictObject({ contract: z.enum(["app", "kms"]), to: address, data: hexData })),
  }),
  z.strictObject({ ...line, type: z.literal("sent"), transactionHash }),
  z.strictObject({ ...line, type: z.literal("ended"), end: z.enum(["mined", "reverted", "replaced", "refused"]) }),
]);

export type BatchJournalLine = z.infer<typeof batchJournalLineSchema>;
export type PreparedLine = Extract<BatchJournalLine, { type: "prepared" }>;

export function toPreparedLine({ transaction, calls, authorizes }: BatchEntry): Omit<PreparedLine, "v" | "at"> {
  const { chainId, from, to, data, nonce, gas, maxFeePerGas, maxPriorityFeePerGas, functionName } = transaction;
  return {
    type: "prepared",
    chainId,
    from: lowerCase(from),
    nonce,
    to: lowerCase(to),
    data: lowerCase(data),
    gas: `${gas}`,
    maxFeePerGas: `${maxFeePerGas}`,
    maxPriorityFeePerGas: `${maxPriorityFeePerGas}`,
    functionName,
    rawTransaction: transaction.rawTransaction ?? null,
    transactionHash: transaction.transactionHash ?? null,
    authorizes,
    calls: calls.map(({ contract, to, data }) => ({ contract, to, data })),
  };
}

/** @throws TypeError if a call is none this package makes */
export function fromPreparedLine(line: PreparedLine): BatchEntry {
  const { v: _, at: __, type: ___, calls, authorizes, ...transaction } = line;
  return {
    transaction: {
      ...transaction,
      gas: BigInt(line.gas),
      maxFeePerGas: BigInt(line.maxFeePerGas),
      maxPriorityFeePerGas: BigInt(line.maxPriorityFeePerGas),
      rawTransaction: line.rawTransaction ?? undefined,
      transactionHash: line.transactionHash ?? undefined,
    },
    calls: calls.map((raw) => {
      const call = decodePolicyCall(raw);
      if (call === undefined) throw new TypeError("The line holds a call nobody could have recorded.");
      return call;
    }),
    authorizes,
  };
}

export function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}
