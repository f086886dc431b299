import { z } from "zod";
import type { PreparedTransaction } from "../../chain/prepared-transaction.ts";
import { type AppId, parseAppId, parseTransactionHash, type TransactionHash } from "../../core/ids.ts";
import { JournalCorruptError } from "../../errors/index.ts";
import { openLineFile } from "../../journal/line-file.ts";
import { acquireLock } from "../../journal/lock.ts";

/** One deployment that was signed, and what is known of its end. */
export interface DeploymentRecord {
  readonly transaction: PreparedTransaction;
  /** Absent until its receipt was seen. */
  readonly appId: AppId | undefined;
}

/**
 * Remembers every deployment from before it is sent. A deployment differs from other calls in that the chain does not
 * tell whether it was made already: each one makes another app.
 */
export interface DeploymentJournal {
  /** The latest that was not given up with these bytes for this contract, by this signer. */
  find(wanted: Pick<PreparedTransaction, "chainId" | "from" | "to" | "data">): DeploymentRecord | undefined;
  prepared(transaction: PreparedTransaction): Promise<void>;
  /** The hash of a transaction that the node signed, once it is told. */
  sent(transaction: PreparedTransaction, transactionHash: TransactionHash): Promise<void>;
  deployed(transaction: PreparedTransaction, appId: AppId): Promise<void>;
  /** It can never be mined any more, or was mined and reverted. */
  givenUp(transaction: PreparedTransaction): Promise<void>;
  close(): Promise<void>;
}

const hex = z.custom<`0x${string}`>((value) => typeof value === "string" && /^0x(?:[0-9a-f]{2})*$/.test(value));
const wholeNumber = z.string().regex(/^\d{1,78}$/);
const position = { chainId: z.int().positive(), from: hex, nonce: z.int().nonnegative() };
const lineSchema = z.discriminatedUnion("type", [
  z.object({
    v: z.literal(1),
    at: z.string(),
    type: z.literal("prepared"),
    ...position,
    to: hex,
    data: hex,
    gas: wholeNumber,
    maxFeePerGas: wholeNumber,
    maxPriorityFeePerGas: wholeNumber,
    functionName: z.string(),
    rawTransaction: hex.optional(),
    transactionHash: hex.optional(),
  }),
  z.object({ v: z.literal(1), at: z.string(), type: z.literal("sent"), ...position, transactionHash: hex }),
  z.object({ v: z.literal(1), at: z.string(), type: z.literal("deployed"), ...position, appId: hex }),
  z.object({ v: z.literal(1), at: z.string(), type: z.literal("givenUp"), ...position }),
]);

type Line = z.infer<typeof lineSchema>;

/** @throws JournalLockedError, JournalCorruptError */
export async function openDeploymentJournal(path: string): Promise<DeploymentJournal> {
  const lock = await acquireLock(path);
  try {
    const file = await openLineFile(path, (lines) => {
      const records = new Map<string, DeploymentRecord>();
      for (const [index, line] of lines.entries()) apply(records, parseLine(path, index + 1, line));
      return records;
    });
    const write = async (line: Line) => {
      await file.write(JSON.stringify(line));
      apply(file.content, line);
    };
    const close = async () => {
      await file.close();
      await lock.release();
    };
    return { ...journalOver(file.content, write), close };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function journalOver(
  records: ReadonlyMap<string, DeploymentRecord>,
  write: (line: Line) => Promise<void>,
): Omit<DeploymentJournal, "close"> {
  const stamp = () => ({ v: 1, at: new Date().toISOString() }) as const;
  const lowerCase = (value: string) => value.toLowerCase() as `0x${string}`; // hex stays hex
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
        functionName: transaction.functionName,
        rawTransaction: transaction.rawTransaction,
        transactionHash: transaction.transactionHash,
      }),
    sent: (transaction, transactionHash) => write({ ...stamp(), type: "sent", ...at(transaction), transactionHash }),
    deployed: (transaction, appId) => write({ ...stamp(), type: "deployed", ...at(transaction), appId }),
    givenUp: (transaction) => write({ ...stamp(), type: "givenUp", ...at(transaction) }),
  };
}

/** A chain takes one transaction per nonce, so at most one recorded one can stand for it. */
function apply(records: Map<string, DeploymentRecord>, line: Line): void {
  const key = `${line.chainId} ${line.from} ${line.nonce}`;
  const record = records.get(key);
  records.delete(key); // what is written last stands last
  if (line.type === "prepared") records.set(key, { transaction: toTransaction(line), appId: undefined });
  if (line.type === "sent" && record !== undefined) {
    const transactionHash = parseTransactionHash(line.transactionHash);
    records.set(key, { ...record, transaction: { ...record.transaction, transactionHash } });
  }
  if (line.type === "deployed" && record !== undefined) records.set(key, { ...record, appId: parseAppId(line.appId) });
}

function toTransaction(line: Extract<Line, { type: "prepared" }>): PreparedTransaction {
  const { chainId, from, to, data, nonce, functionName, rawTransaction, transactionHash } = line;
  return {
    ...{ chainId, from, to, data, nonce, functionName, rawTransaction },
    gas: BigInt(line.gas),
    maxFeePerGas: BigInt(line.maxFeePerGas),
    maxPriorityFeePerGas: BigInt(line.maxPriorityFeePerGas),
    transactionHash: transactionHash === undefined ? undefined : parseTransactionHash(transactionHash),
  };
}

function parseLine(path: string, number: number, line: string): Line {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new JournalCorruptError(path, number, { cause });
  }
}
