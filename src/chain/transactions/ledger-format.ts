import { z } from "zod";
import type { Hex, TransactionHash } from "../../core/ids.ts";
import { type DatabaseFormat, OwnDatabase } from "../../files/own-database.ts";
import { finalityTags } from "./chain-identity.ts";
import {
  type CallRecord,
  ContradictionError,
  type LedgerBatch,
  type LedgerTransaction,
  purposeSchema,
  readCalls,
  requireConsistent,
  transactionStates,
} from "./ledger-records.ts";
import { processOwnerSchema } from "./process-owner.ts";

/** What an SQLite file must be to be a ledger. "dslg" in ASCII. */
export const ledgerFormat: Omit<DatabaseFormat, "toError"> = {
  applicationId: 0x64736c67,
  version: 1,
  synchronous: "FULL",
  schema: `
CREATE TABLE batches (
  id INTEGER PRIMARY KEY,
  chain TEXT NOT NULL,
  chain_id INTEGER NOT NULL,
  signer TEXT NOT NULL,
  purpose TEXT NOT NULL,
  calls TEXT NOT NULL,
  key TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX open_batches ON batches (key) WHERE ended_at IS NULL;
CREATE TABLE transactions (
  id INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL REFERENCES batches,
  nonce INTEGER NOT NULL,
  authorizes INTEGER NOT NULL CHECK (authorizes IN (0, 1)),
  target TEXT NOT NULL,
  data TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN (${transactionStates.map((state) => `'${state}'`).join(", ")})),
  hash TEXT,
  block TEXT,
  gas_used TEXT,
  cost TEXT,
  finality TEXT,
  owner TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  chain TEXT NOT NULL,
  signer TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX open_nonces ON transactions (chain, signer, nonce) WHERE state = 'open';
CREATE INDEX nonces ON transactions (chain, signer, nonce);
CREATE INDEX transactions_of_batch ON transactions (batch);
CREATE TABLE calls (
  sent_in INTEGER NOT NULL REFERENCES transactions,
  position INTEGER NOT NULL,
  contract TEXT NOT NULL,
  target TEXT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (sent_in, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_data ON calls (data, target);
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  sent_in INTEGER NOT NULL REFERENCES transactions,
  kind TEXT NOT NULL CHECK (kind IN ('call', 'cancel')),
  gas TEXT NOT NULL,
  max_fee TEXT NOT NULL,
  tip TEXT NOT NULL,
  raw TEXT,
  hash TEXT,
  created_at INTEGER NOT NULL,
  sent_at INTEGER
) STRICT;
CREATE INDEX attempts_of_transaction ON attempts (sent_in);
CREATE TABLE notes (
  topic TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (topic, key)
) STRICT, WITHOUT ROWID;`,
};

function fixedHex<Value extends Hex>(bytes: number) {
  const pattern = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);
  return z.custom<Value>((value) => typeof value === "string" && pattern.test(value), `expected ${bytes} bytes of hex`);
}

const hexData = z.custom<Hex>((value) => typeof value === "string" && /^0x([0-9a-f]{2})*$/.test(value), "expected hex");
const address = fixedHex<Hex>(20);
const transactionHash = fixedHex<TransactionHash>(32);
const wholeNumber = z
  .string()
  .regex(/^\d{1,78}$/)
  .transform((digits) => BigInt(digits));
const chainId = z.int().positive();
const time = z.int().transform((milliseconds) => new Date(milliseconds));

function json<Schema extends z.ZodType>(schema: Schema) {
  return z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: "custom", message: "expected JSON" });
        return z.NEVER;
      }
    })
    .pipe(schema);
}

const call = z.object({ contract: z.enum(["app", "kms", "timelock"]), to: address, data: hexData });
const attempt = z.object({
  id: z.int(),
  kind: z.enum(["call", "cancel"]),
  gas: wholeNumber,
  maxFeePerGas: wholeNumber,
  maxPriorityFeePerGas: wholeNumber,
  rawTransaction: hexData.nullable(),
  transactionHash: transactionHash.nullable(),
  sentAt: z.int().nullable(),
});

const batchRow = z.object({
  id: z.int(),
  chain: z.string(),
  chain_id: chainId,
  signer: address,
  purpose: json(purposeSchema),
  calls: json(z.array(call)),
  created_at: time,
  ended_at: time.nullable(),
});

const transactionRow = z.object({
  id: z.int(),
  batch: z.int(),
  purpose: json(purposeSchema),
  chain: z.string(),
  chain_id: chainId,
  signer: address,
  nonce: z.int().nonnegative(),
  target: address,
  data: hexData,
  authorizes: z.literal([0, 1]),
  state: z.enum(transactionStates),
  hash: transactionHash.nullable(),
  block: wholeNumber.nullable(),
  gas_used: wholeNumber.nullable(),
  cost: wholeNumber.nullable(),
  finality: z.enum(finalityTags).nullable(),
  owner: json(processOwnerSchema),
  created_at: time,
  ended_at: time.nullable(),
  calls: json(z.array(call)),
  attempts: json(z.array(attempt)),
});

/** Selects rows for `readTransactionRow`. A condition on `t` and an order follow. */
export const selectTransactions = `
SELECT t.*, b.purpose, b.chain_id,
  (SELECT json_group_array(json_object('contract', contract, 'to', target, 'data', data))
    FROM (SELECT * FROM calls WHERE sent_in = t.id ORDER BY position)) AS calls,
  (SELECT json_group_array(json_object('id', id, 'kind', kind, 'gas', gas, 'maxFeePerGas', max_fee,
      'maxPriorityFeePerGas', tip, 'rawTransaction', raw, 'transactionHash', hash, 'sentAt', sent_at))
    FROM (SELECT * FROM attempts WHERE sent_in = t.id ORDER BY id)) AS attempts
FROM transactions AS t LEFT JOIN batches AS b ON b.id = t.batch AND b.chain = t.chain AND b.signer = t.signer`;

/** @throws ContradictionError */
export function readBatchRow(raw: unknown): LedgerBatch {
  const { chain_id: chainId, created_at: createdAt, ended_at: endedAt, ...row } = parse(batchRow, raw);
  return { ...row, chainId, calls: readCalls(row.calls), createdAt, endedAt: endedAt ?? undefined };
}

/** @param executors see `requireConsistent` @throws ContradictionError */
export function readTransactionRow(raw: object, executors: readonly Hex[]): LedgerTransaction {
  if (Reflect.get(raw, "purpose") === null) throw new ContradictionError("its batch is of another signer or chain");
  const row = parse(transactionRow, raw);
  const { id, batch, purpose, chain, nonce, data, state, hash, owner } = row;
  const transaction = {
    ...{ id, batch, purpose, chain, nonce, data, state, owner },
    chainId: row.chain_id,
    from: row.signer,
    to: row.target,
    calls: readCalls(row.calls),
    authorizes: row.authorizes === 1,
    finality: row.finality ?? undefined,
    createdAt: row.created_at,
    endedAt: row.ended_at ?? undefined,
    proof:
      hash === null
        ? undefined
        : {
            transactionHash: hash,
            blockNumber: row.block ?? undefined,
            gasUsed: row.gas_used ?? undefined,
            costWei: row.cost ?? undefined,
          },
    attempts: row.attempts.map(({ sentAt, rawTransaction, transactionHash, ...attempt }) => ({
      ...attempt,
      rawTransaction: rawTransaction ?? undefined,
      transactionHash: transactionHash ?? undefined,
      isSent: sentAt !== null,
    })),
  };
  return requireConsistent(transaction, executors);
}

function parse<Schema extends z.ZodType>(schema: Schema, raw: unknown): z.output<Schema> {
  const { success, data, error } = schema.safeParse(raw);
  if (success) return data;
  const [issue] = error.issues;
  throw new ContradictionError(`its ${issue?.path.join(".")} cannot be read (${issue?.message})`);
}

export function callRecordOf({ contract, to, data }: CallRecord): CallRecord {
  return { contract, to, data };
}

/** Opens the database of a ledger. */
export function openLedgerDatabase(path: string, toError: DatabaseFormat["toError"]): OwnDatabase {
  return new OwnDatabase(path, { ...ledgerFormat, toError });
}
