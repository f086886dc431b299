import type { Hex, TransactionHash } from "../../core/ids.ts";
import type { OwnerCall } from "../../core/owner-calls.ts";
import { LedgerError } from "../../errors/index.ts";
import { inMemory, type OwnDatabase, type SqlValue } from "../../files/own-database.ts";
import type { ChainIdentity, FinalityTag } from "./chain-identity.ts";
import {
  callRecordOf,
  openLedgerDatabase,
  readBatchRow,
  readTransactionRow,
  selectTransactions,
} from "./ledger-format.ts";
import {
  type BatchKey,
  ContradictionError,
  digestOf,
  type LedgerBatch,
  type LedgerTransaction,
  lowerCase,
  type TransactionAttempt,
  type TransactionProof,
  type TransactionState,
} from "./ledger-records.ts";
import type { PreparedTransaction } from "./prepare.ts";
import type { ProcessOwner } from "./process-owner.ts";

export interface OpenLedgerOptions {
  /** Addresses of the batch executor on chains without the deterministic-deployment proxy, as passed to `sendBatch`. */
  readonly executors?: readonly Hex[] | undefined;
}

/**
 * Opens or creates a ledger. It records every transaction before it is sent, for all chains and signers, so that an
 * interrupted command can be finished and pays nothing twice. Several processes may use it at once. It contains no key,
 * but anyone who reads it can send the signed transactions in it.
 *
 * @throws LedgerError
 * @throws UnusableFileError if the file is a link or a device, or may come from a repository or another user
 *
 * @example
 * import { openLedger } from "dstack-toolkit";
 * const ledger = openLedger(".dstack/ledger.sqlite");
 * console.log(ledger.transactions({ states: ["open"] }));
 * ledger.close();
 */
export function openLedger(path: string, options: OpenLedgerOptions = {}): Ledger {
  return new Ledger(path, options);
}

/**
 * A ledger in memory, lost when the process ends: for tests, and for chains that are thrown away.
 *
 * @example
 * import { memoryLedger } from "dstack-toolkit";
 * import { sendBatch } from "dstack-toolkit/batch";
 * import { calls, client } from "./app.js";
 * await sendBatch(client, { calls, ledger: memoryLedger() });
 */
export function memoryLedger(options: OpenLedgerOptions = {}): Ledger {
  return new Ledger(inMemory, options);
}

export interface TransactionQuery {
  readonly id?: number | undefined;
  readonly batch?: number | undefined;
  readonly chain?: string | undefined;
  readonly signer?: Hex | undefined;
  readonly nonce?: number | undefined;
  readonly states?: readonly TransactionState[] | undefined;
  /** Transactions that carry one of these calls. */
  readonly calls?: readonly Pick<OwnerCall, "to" | "data">[] | undefined;
  /** Transactions with this target and calldata. */
  readonly same?: Pick<LedgerTransaction, "to" | "data" | "authorizes"> | undefined;
  /** Transactions that are open, or ended at this time or later, in ms. */
  readonly since?: number | undefined;
  /** The transaction that has this hash, or an attempt with it. */
  readonly transactionHash?: TransactionHash | undefined;
  /** Transactions of batches that have not ended. */
  readonly isUnfinished?: true | undefined;
  /** At most so many, the newest ones. */
  readonly limit?: number | undefined;
  /** Called for each record that contradicts itself, which is left out. @default the first one is thrown */
  readonly onDamaged?: ((id: number, damage: LedgerError) => void) | undefined;
}

export interface NonceParameters extends Pick<ChainIdentity, "chain" | "isDevelopment"> {
  readonly signer: Hex;
  /** The next nonce as the endpoint counts it. */
  readonly floor: number;
  /** When that count was requested, in ms. */
  readonly floorReadAt: number;
  /** How many nonces in a row: 2 for a transaction with its own sender's authorisation. */
  readonly count: number;
}

export interface RecordParameters extends Omit<NonceParameters, "count" | "signer" | "chain"> {
  readonly key: BatchKey;
  readonly prepared: PreparedTransaction;
  /** The calls in it. */
  readonly calls: readonly OwnerCall[];
  readonly authorizes: boolean;
  readonly owner: ProcessOwner;
  /** When this run began to look at what is on record, in ms. */
  readonly since: number;
  /** Whether the same transaction may be sent by several runs. @default false */
  readonly mayRepeat?: boolean | undefined;
}

export type RecordOutcome =
  | { readonly kind: "recorded"; readonly transaction: LedgerTransaction }
  /** Another process has used the nonce meanwhile. Sign again for the next one. */
  | { readonly kind: "nonceUsed" }
  /** Another run has sent one of the calls meanwhile. Wait for that transaction. */
  | { readonly kind: "covered"; readonly by: LedgerTransaction };

/** The record of every transaction. All methods are synchronous, and return once the change is on disk. */
export class Ledger {
  readonly path: string;
  readonly #database: OwnDatabase;
  readonly #executors: Set<Hex>;

  constructor(path: string, { executors = [] }: OpenLedgerOptions) {
    this.path = path;
    this.#executors = new Set(executors.map(lowerCase));
    this.#database = openLedgerDatabase(path, (problem, options) => new LedgerError(path, problem, options));
  }

  /** Accepts records that delegate their sender's account to this contract. The caller must have named it. */
  acceptExecutor(address: Hex): void {
    this.#executors.add(lowerCase(address));
  }

  /** Oldest first. @throws LedgerError if a record contradicts its calldata or its signed bytes */
  transactions({ limit = -1, onDamaged, ...query }: TransactionQuery = {}): readonly LedgerTransaction[] {
    const { where, values } = conditionsOf(query);
    const rows = this.#database.all<{ id: number }>(
      `${selectTransactions} WHERE ${["TRUE", ...where].join(" AND ")} ORDER BY t.id DESC LIMIT :limit`,
      { ...values, limit },
    );
    return rows.toReversed().flatMap((row) => {
      try {
        return [this.#believe(`record ${row.id}`, () => readTransactionRow(row, [...this.#executors]))];
      } catch (error) {
        if (onDamaged === undefined || !(error instanceof LedgerError)) throw error;
        onDamaged(row.id, error);
        return [];
      }
    });
  }

  /** @throws LedgerError if there is none, or it contradicts itself */
  transaction(id: number): LedgerTransaction {
    const [found] = this.transactions({ id });
    if (found === undefined) throw new LedgerError(this.path, "damaged", { detail: `it holds no record ${id}` });
    return found;
  }

  /** Oldest first. */
  batches({ isOpen, limit = -1 }: { readonly isOpen?: boolean; readonly limit?: number } = {}): readonly LedgerBatch[] {
    const condition = isOpen === undefined ? "" : `WHERE ended_at IS ${isOpen ? "" : "NOT"} NULL`;
    const rows = this.#database.all<{ id: number }>(
      `SELECT * FROM batches ${condition} ORDER BY id DESC LIMIT :limit`,
      {
        limit,
      },
    );
    return rows.toReversed().map((row) => this.#believe(`batch ${row.id}`, () => readBatchRow(row)));
  }

  /** The batch of the same command that has not ended, if there is one. */
  findBatch(key: BatchKey): LedgerBatch | undefined {
    const row = this.#database.first<{ id: number }>("SELECT * FROM batches WHERE key = :key AND ended_at IS NULL", {
      key: digestOf(key),
    });
    return row && this.#believe(`batch ${row.id}`, () => readBatchRow(row));
  }

  /**
   * The signer's lowest free nonce from `floor` on. On a development chain, which can be set back, nonces that ended
   * before the count was read are free if the node says so.
   */
  nextNonce({ chain, isDevelopment, signer, floor, floorReadAt, count }: NonceParameters): number {
    const used = this.#database.all<{ nonce: number; authorizes: number }>(
      `SELECT nonce, authorizes FROM transactions
       WHERE chain = :chain AND signer = :signer AND nonce >= :floor - 1 AND state <> 'refused'
         AND (state = 'open' OR :isLive OR ended_at >= :floorReadAt)
       ORDER BY nonce`,
      { chain, signer: lowerCase(signer), floor, floorReadAt, isLive: isDevelopment ? 0 : 1 },
    );
    let next = floor;
    for (const { nonce, authorizes } of used) {
      if (nonce >= next + count) break;
      next = Math.max(next, nonce + 1 + authorizes);
    }
    return next;
  }

  /**
   * Records a transaction, signed or about to be asked of a node or a wallet, if its nonce is free and no other run has
   * sent its calls. Opens its batch if that is its first transaction.
   */
  record(parameters: RecordParameters): RecordOutcome {
    const { key, prepared, calls, authorizes, owner, since, mayRepeat = false } = parameters;
    const { chain } = key;
    const [signer, to, data] = [prepared.from, prepared.to, prepared.data].map(lowerCase) as [Hex, Hex, Hex];
    const now = Date.now();
    return this.#database.transaction((): RecordOutcome => {
      const twin = calls.length === 0 ? { same: { to, data, authorizes } } : { calls };
      const [by] = mayRepeat ? [] : this.transactions({ ...twin, chain, signer, since, states: ["open", "mined"] });
      if (by !== undefined) return { kind: "covered", by };
      const nonces = { ...parameters, chain, signer, count: authorizes ? 2 : 1 };
      if (this.nextNonce(nonces) !== prepared.nonce) return { kind: "nonceUsed" };
      const batch = this.#openBatchId(key) ?? this.#insertBatch(key, prepared.chainId);
      const id = this.#database.run(
        `INSERT INTO transactions (batch, chain, signer, nonce, authorizes, target, data, state, owner, created_at)
         VALUES (:batch, :chain, :signer, :nonce, :authorizes, :to, :data, 'open', :owner, :now)`,
        {
          ...{ batch, chain, signer, to, data, now, nonce: prepared.nonce },
          authorizes: authorizes ? 1 : 0,
          owner: JSON.stringify(owner),
        },
      );
      for (const [position, call] of calls.entries())
        this.#database.run(
          `INSERT INTO calls (sent_in, position, contract, target, data)
           VALUES (:id, :position, :contract, :to, :data)`,
          { id, position, ...callRecordOf(call) },
        );
      this.#insertAttempt(id, "call", prepared);
      return { kind: "recorded", transaction: this.transaction(id) };
    });
  }

  /** Records a replacement of a transaction's attempts, with the same nonce, before it is sent. */
  addAttempt(id: number, kind: TransactionAttempt["kind"], prepared: PreparedTransaction): LedgerTransaction {
    this.#insertAttempt(id, kind, prepared);
    return this.transaction(id);
  }

  /** Records that the endpoint has taken an attempt, and the hash that a node or a wallet gave it. */
  markSent(id: number, attempt: number, transactionHash: TransactionHash): LedgerTransaction {
    this.#database.run("UPDATE attempts SET sent_at = :now, hash = :hash WHERE id = :attempt AND sent_in = :id", {
      ...{ id, attempt },
      now: Date.now(),
      hash: transactionHash,
    });
    return this.transaction(id);
  }

  /** Ends a transaction. `open` opens it again, after a reorganisation has removed it from the chain. */
  setState(id: number, state: TransactionState, proof?: TransactionProof | undefined): LedgerTransaction {
    const { transactionHash, blockNumber, gasUsed, costWei } = proof ?? {};
    this.#database.run(
      `UPDATE transactions SET state = :state, hash = :hash, block = :block, gas_used = :gasUsed, cost = :cost,
         finality = :finality, ended_at = :endedAt WHERE id = :id`,
      {
        ...{ id, state, hash: transactionHash ?? null },
        block: textOf(blockNumber),
        gasUsed: textOf(gasUsed),
        cost: textOf(costWei),
        finality: blockNumber === undefined ? null : "latest",
        endedAt: state === "open" ? null : Date.now(),
      },
    );
    return this.transaction(id);
  }

  setFinality(ids: readonly number[], finality: FinalityTag): void {
    this.#database.run("UPDATE transactions SET finality = :finality WHERE id IN (SELECT value FROM json_each(:ids))", {
      ...{ finality, ids: JSON.stringify(ids) },
    });
  }

  /** Makes this run the owner of a transaction. */
  setOwner(id: number, owner: ProcessOwner): void {
    this.#database.run("UPDATE transactions SET owner = :owner WHERE id = :id", { id, owner: JSON.stringify(owner) });
  }

  /** Ends a batch whose calls are all done. After this, the same command begins anew. */
  endBatch(id: number): void {
    this.#database.run("UPDATE batches SET ended_at = :now WHERE id = :id AND ended_at IS NULL", {
      id,
      now: Date.now(),
    });
  }

  /** What a command keeps beside its transactions, such as how far an update has come in the cloud. */
  readNotes(topic: string): ReadonlyMap<string, unknown> {
    const rows = this.#database.all<{ key: string; value: string }>(
      "SELECT key, value FROM notes WHERE topic = :topic ORDER BY key",
      { topic },
    );
    return new Map(rows.map(({ key, value }) => [key, JSON.parse(value)]));
  }

  writeNote(topic: string, key: string, value: unknown): void {
    this.#database.run("INSERT OR REPLACE INTO notes (topic, key, value) VALUES (:topic, :key, :value)", {
      ...{ topic, key, value: JSON.stringify(value) },
    });
  }

  close(): void {
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** As findBatch, without reading every call of the batch. */
  #openBatchId(key: BatchKey): number | undefined {
    return this.#database.first<{ id: number }>("SELECT id FROM batches WHERE key = :key AND ended_at IS NULL", {
      key: digestOf(key),
    })?.id;
  }

  #insertBatch(key: BatchKey, chainId: number): number {
    const { chain, signer, purpose, calls } = key;
    return this.#database.run(
      `INSERT INTO batches (chain, chain_id, signer, purpose, calls, key, created_at)
       VALUES (:chain, :chainId, :signer, :purpose, :calls, :key, :now)`,
      {
        ...{ chain, chainId, now: Date.now() },
        signer: lowerCase(signer),
        purpose: JSON.stringify(purpose),
        calls: JSON.stringify(calls.map(callRecordOf)),
        key: digestOf(key),
      },
    );
  }

  #insertAttempt(id: number, kind: TransactionAttempt["kind"], prepared: PreparedTransaction): void {
    this.#database.run(
      `INSERT INTO attempts (sent_in, kind, gas, max_fee, tip, raw, hash, created_at)
       VALUES (:id, :kind, :gas, :maxFee, :tip, :raw, :hash, :now)`,
      {
        ...{ id, kind, now: Date.now() },
        gas: `${prepared.gas}`,
        maxFee: `${prepared.maxFeePerGas}`,
        tip: `${prepared.maxPriorityFeePerGas}`,
        raw: prepared.rawTransaction ?? null,
        hash: prepared.transactionHash ?? null,
      },
    );
  }

  #believe<Record>(what: string, read: () => Record): Record {
    try {
      return read();
    } catch (cause) {
      if (!(cause instanceof ContradictionError)) throw cause;
      throw new LedgerError(this.path, "damaged", { cause, detail: `of ${what}, ${cause.message}` });
    }
  }
}

function conditionsOf(query: Omit<TransactionQuery, "limit" | "onDamaged">) {
  const { id, batch, chain, nonce, signer, calls, same, states, since, isUnfinished, transactionHash } = query;
  const where: string[] = [];
  const values: Record<string, SqlValue> = {};
  const add = (condition: string, parameters: Record<string, SqlValue>) => {
    where.push(condition);
    Object.assign(values, parameters);
  };
  for (const [name, value] of Object.entries({ id, batch, chain, nonce }))
    if (value !== undefined) add(`t.${name} = :${name}`, { [name]: value });
  if (signer !== undefined) add("t.signer = :signer", { signer: lowerCase(signer) });
  if (states !== undefined)
    add("t.state IN (SELECT value FROM json_each(:states))", { states: JSON.stringify(states) });
  if (transactionHash !== undefined)
    add("(t.hash = :hash OR t.id IN (SELECT sent_in FROM attempts WHERE hash = :hash))", { hash: transactionHash });
  if (isUnfinished) add("b.ended_at IS NULL", {});
  if (since !== undefined) add("(t.state = 'open' OR t.ended_at >= :since)", { since });
  if (same !== undefined)
    add("t.target = :to AND t.data = :data AND t.authorizes = :authorizes", {
      ...{ to: lowerCase(same.to), data: lowerCase(same.data), authorizes: same.authorizes ? 1 : 0 },
    });
  if (calls !== undefined)
    add(
      `t.id IN (SELECT c.sent_in FROM json_each(:calls) AS j
         JOIN calls AS c ON c.data = j.value ->> 1 AND c.target = j.value ->> 0)`,
      { calls: JSON.stringify(calls.map(({ to, data }) => [lowerCase(to), lowerCase(data)])) },
    );
  return { where, values };
}

function textOf(value: bigint | undefined): string | null {
  return value === undefined ? null : `${value}`;
}
