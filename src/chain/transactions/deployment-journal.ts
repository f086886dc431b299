import { decodeFunctionData, encodeFunctionData } from "viem";
import { z } from "zod";
import type { AppId, Hex, TransactionHash } from "../../core/ids.ts";
import { gasCeilingOf } from "../../core/order-calls.ts";
import { JournalCorruptError } from "../../errors/index.ts";
import { dstackKmsAbi } from "../../generated/abi.ts";
import { findContradiction, findForeignSignature } from "./find.ts";
import { acquireLock, openLineFile } from "./journal-file.ts";
import type { PreparedTransaction } from "./prepare.ts";

/** One signed deployment and what is known about its outcome. */
export interface DeploymentRecord {
  readonly transaction: PreparedTransaction;
  /** The app id in the journal. Absent until the receipt was seen. Read the receipt again before you show it. */
  readonly appId: AppId | undefined;
  /** Number of the last journal line about it, from 1. */
  readonly line: number;
}

/**
 * Records every deployment before it is sent. Other calls can be checked on the chain, but a deployment cannot: each
 * one creates another app.
 */
export interface DeploymentJournal {
  readonly path: string;
  /** Returns the latest record, not given up, with this calldata, contract, signer and chain. */
  find(wanted: Pick<PreparedTransaction, "chainId" | "from" | "to" | "data">): DeploymentRecord | undefined;
  prepared(transaction: PreparedTransaction): Promise<void>;
  /** Records the hash of a transaction that the node signed, once the node reports it. */
  sent(transaction: PreparedTransaction, transactionHash: TransactionHash): Promise<void>;
  deployed(transaction: PreparedTransaction, appId: AppId): Promise<void>;
  /** Records that it can never be mined any more, or was mined and reverted. */
  givenUp(transaction: PreparedTransaction): Promise<void>;
  close(): Promise<void>;
}

const functionName = "deployAndRegisterApp";

function fixedHex<Value extends Hex>(bytes: number) {
  const pattern = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);
  return z.custom<Value>((value) => typeof value === "string" && pattern.test(value), `expected ${bytes} bytes of hex`);
}

const hex = z.custom<Hex>((value) => typeof value === "string" && /^0x(?:[0-9a-f]{2})*$/.test(value), "expected hex");
const transactionHash = fixedHex<TransactionHash>(32);
const wholeNumber = z.string().regex(/^\d{1,78}$/);
const position = { chainId: z.int().positive(), from: fixedHex<Hex>(20), nonce: z.int().nonnegative() };
const lineSchema = z.discriminatedUnion("type", [
  z.object({
    v: z.literal(1),
    at: z.string(),
    type: z.literal("prepared"),
    ...position,
    to: fixedHex<Hex>(20),
    data: hex,
    gas: wholeNumber,
    maxFeePerGas: wholeNumber,
    maxPriorityFeePerGas: wholeNumber,
    functionName: z.literal(functionName),
    rawTransaction: hex.optional(),
    transactionHash: transactionHash.optional(),
  }),
  z.object({ v: z.literal(1), at: z.string(), type: z.literal("sent"), ...position, transactionHash }),
  z.object({ v: z.literal(1), at: z.string(), type: z.literal("deployed"), ...position, appId: fixedHex<AppId>(20) }),
  z.object({ v: z.literal(1), at: z.string(), type: z.literal("givenUp"), ...position }),
]);

type Line = z.infer<typeof lineSchema>;

/** @throws JournalLockedError, JournalCorruptError, UnusableFileError */
export async function openDeploymentJournal(path: string): Promise<DeploymentJournal> {
  const lock = await acquireLock(path);
  try {
    const file = await openLineFile(path, (lines) => readLines(path, lines));
    let last = file.content.lines;
    const write = async (line: Line) => {
      await file.write(JSON.stringify(line));
      last += 1;
      apply(file.content.records, line, last);
    };
    const close = async () => {
      await file.close();
      await lock.release();
    };
    return { path, ...journalOver(file.content.records, write), close };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function journalOver(
  records: ReadonlyMap<string, DeploymentRecord>,
  write: (line: Line) => Promise<void>,
): Omit<DeploymentJournal, "path" | "close"> {
  const stamp = () => ({ v: 1, at: new Date().toISOString() }) as const;
  const lowerCase = (value: string) => value.toLowerCase() as `0x${string}`; // hex in lower case is still hex
  const at = ({ chainId, from, nonce }: PreparedTransaction) => ({ chainId, from: lowerCase(from), nonce });
  return {
    find: ({ chainId, from, to, data }) =>
      [...records.values()].findLast(
        ({ transaction: one }) =>
          one.chainId === chainId &&
          one.from === lowerCase(from) &&
          one.to === lowerCase(to) &&
          one.data === lowerCase(data),
      ),
    prepared: (transaction) =>
      write({
        ...stamp(),
        type: "prepared",
        ...at(transaction),
        to: lowerCase(transaction.to),
        data: lowerCase(transaction.data),
        gas: `${transaction.gas}`,
        maxFeePerGas: `${transaction.maxFeePerGas}`,
        maxPriorityFeePerGas: `${transaction.maxPriorityFeePerGas}`,
        functionName,
        rawTransaction: transaction.rawTransaction,
        transactionHash: transaction.transactionHash,
      }),
    sent: (transaction, transactionHash) => write({ ...stamp(), type: "sent", ...at(transaction), transactionHash }),
    deployed: (transaction, appId) => write({ ...stamp(), type: "deployed", ...at(transaction), appId }),
    givenUp: (transaction) => write({ ...stamp(), type: "givenUp", ...at(transaction) }),
  };
}

async function readLines(path: string, lines: readonly string[]) {
  const records = new Map<string, DeploymentRecord>();
  for (const [index, text] of lines.entries()) {
    const line = parseLine(path, index + 1, text);
    const problem = apply(records, line, index + 1);
    if (problem !== undefined) throw new JournalCorruptError(path, index + 1, { problem });
  }
  for (const { transaction, line } of records.values()) {
    const problem = await findForeignSignature(transaction);
    if (problem !== undefined) throw new JournalCorruptError(path, line, { problem });
  }
  return { records, lines: lines.length };
}

/**
 * Applies a line. Returns what is wrong with the line, if anything. A chain accepts one transaction per nonce, so each
 * nonce has at most one record.
 */
function apply(records: Map<string, DeploymentRecord>, line: Line, number: number): string | undefined {
  const key = `${line.chainId} ${line.from} ${line.nonce}`;
  if (line.type === "prepared") {
    const transaction = toTransaction(line);
    records.delete(key); // keeps the latest record last
    records.set(key, { transaction, appId: undefined, line: number });
    return isDeployment(line.data)
      ? findContradiction(transaction, { gasCeiling: gasCeilingOf(functionName) })
      : "its calldata deploys no app";
  }
  const record = records.get(key);
  if (record === undefined) return "no deployment with its nonce is on record";
  records.delete(key);
  if (line.type === "givenUp") return undefined;
  if (line.type === "deployed") records.set(key, { ...record, appId: line.appId, line: number });
  else {
    const { rawTransaction, transactionHash: ownHash } = record.transaction;
    const { transactionHash } = line;
    records.set(key, { ...record, transaction: { ...record.transaction, transactionHash }, line: number });
    if (rawTransaction !== undefined && transactionHash !== ownHash) return "its hash is not that of the signed bytes";
  }
  return undefined;
}

function isDeployment(data: Hex): boolean {
  try {
    const call = decodeFunctionData({ abi: dstackKmsAbi, data });
    return call.functionName === functionName && encodeFunctionData({ abi: dstackKmsAbi, ...call }) === data;
  } catch {
    return false;
  }
}

function toTransaction(line: Extract<Line, { type: "prepared" }>): PreparedTransaction {
  const { chainId, from, to, data, nonce, rawTransaction, transactionHash } = line;
  return {
    ...{ chainId, from, to, data, nonce, functionName, rawTransaction, transactionHash },
    gas: BigInt(line.gas),
    maxFeePerGas: BigInt(line.maxFeePerGas),
    maxPriorityFeePerGas: BigInt(line.maxPriorityFeePerGas),
  };
}

function parseLine(path: string, number: number, line: string): Line {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new JournalCorruptError(path, number, { cause });
  }
}
