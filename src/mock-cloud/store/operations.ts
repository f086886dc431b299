import type { ComposeHash, TransactionHash } from "../../core/ids.ts";
import type { Workload } from "./cvms.ts";
import type { Database } from "./database.ts";

/** The operations that keep a CVM busy. */
export type BusyKind = "create" | "update" | "start" | "stop" | "shutdown" | "restart";

/** A deletion takes no time. */
export type OperationKind = BusyKind | "delete";

/** A block tag that a registration may have to reach. */
export type AwaitedTag = "safe" | "finalized";

/** An accepted change, running or finished. The workload is what the CVM will run after it. */
export interface Operation extends Workload {
  readonly id: number;
  readonly correlationId: string;
  readonly cvmId: number;
  readonly kind: OperationKind;
  readonly state: "running" | "done" | "failed";
  /** The proof that the hash is registered: a transaction, `already-registered`, or null if no proof was needed. */
  readonly transactionHash: TransactionHash | "already-registered" | null;
  /** The node on which the operation boots the CVM. */
  readonly nodeId: number;
  /**
   * The operation begins when this tag reaches its registration. Until then it runs, but does not touch the CVM. Null
   * if it waits for none, or no more.
   */
  readonly awaitedTag: AwaitedTag | null;
  readonly startedAt: number;
  /** Additional milliseconds, set by a fault. */
  readonly delayMs: number;
  readonly finishedAt: number | null;
  /** Why the operation failed. */
  readonly failure: string | null;
}

type OperationRow = Omit<Operation, "settings"> & { readonly settings: string };

const columns = `id, correlation_id AS "correlationId", cvm_id AS "cvmId", kind, state,
  compose_hash AS "composeHash", compose_text AS "composeText", encrypted_env AS "encryptedEnv", settings,
  node_id AS "nodeId", transaction_hash AS "transactionHash", awaited_tag AS "awaitedTag", started_at AS "startedAt", delay_ms AS "delayMs",
  finished_at AS "finishedAt", failure`;

export class Operations {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  insert(operation: Omit<Operation, "id" | "state" | "finishedAt" | "failure">): Operation {
    const id = this.#database.run(
      `INSERT INTO operation (correlation_id, cvm_id, kind, state, compose_hash, compose_text, encrypted_env, settings,
         node_id, transaction_hash, awaited_tag, started_at, delay_ms)
       VALUES (:correlationId, :cvmId, :kind, 'running', :composeHash, :composeText, :encryptedEnv, :settings,
         :nodeId, :transactionHash, :awaitedTag, :startedAt, :delayMs)`,
      { ...operation, settings: JSON.stringify(operation.settings) },
    );
    return { ...operation, id, state: "running", finishedAt: null, failure: null };
  }

  finish(id: number, failure: string | null, finishedAt: number): void {
    this.#database.run(
      "UPDATE operation SET state = :state, failure = :failure, finished_at = :finishedAt WHERE id = :id",
      { id, state: failure === null ? "done" : "failed", failure, finishedAt },
    );
  }

  /** Ends the wait for finality. */
  begin(id: number, { startedAt, delayMs }: Pick<Operation, "startedAt" | "delayMs">): void {
    this.#database.run(
      "UPDATE operation SET awaited_tag = NULL, started_at = :startedAt, delay_ms = :delayMs WHERE id = :id",
      { id, startedAt, delayMs },
    );
  }

  setListed(id: number, listed: boolean): void {
    this.#database.run("UPDATE operation SET settings = json_set(settings, '$.listed', json(:listed)) WHERE id = :id", {
      id,
      listed: String(listed),
    });
  }

  running(): Operation[] {
    return this.#where("state = 'running'", {});
  }

  runningOf(cvmId: number): Operation | undefined {
    // No ORDER BY: an index allows one row at most, and SQLite takes ten times as long to prepare to sort it.
    return this.#first("cvm_id = :cvmId AND state = 'running'", { cvmId });
  }

  /** Oldest first. */
  ofCvm(cvmId: number): Operation[] {
    return this.#where("cvm_id = :cvmId", { cvmId });
  }

  /** End of the last finished operation that touched the CVM. Undefined if none has. */
  lastFinishedAt(cvmId: number): number | undefined {
    const row = this.#database.first<{ at: number }>(
      `SELECT finished_at AS at FROM operation
       WHERE cvm_id = :cvmId AND finished_at IS NOT NULL AND awaited_tag IS NULL ORDER BY finished_at DESC LIMIT 1`,
      { cvmId },
    );
    return row?.at;
  }

  /** The newest operation that was started with this transaction as proof for this hash. */
  provenBy(cvmId: number, composeHash: ComposeHash, transactionHash: string): Operation | undefined {
    return this.#first(
      `cvm_id = :cvmId AND compose_hash = :composeHash AND transaction_hash = :transactionHash
       ORDER BY id DESC LIMIT 1`,
      { cvmId, composeHash, transactionHash },
    );
  }

  #first(condition: string, parameters: Record<string, string | number>): Operation | undefined {
    const row = this.#database.first<OperationRow>(`SELECT ${columns} FROM operation WHERE ${condition}`, parameters);
    return row && toOperation(row);
  }

  #where(condition: string, parameters: Record<string, string | number>): Operation[] {
    const sql = `SELECT ${columns} FROM operation WHERE ${condition} ORDER BY id`;
    return this.#database.all<OperationRow>(sql, parameters).map(toOperation);
  }
}

function toOperation(row: OperationRow): Operation {
  return { ...row, settings: JSON.parse(row.settings) };
}
