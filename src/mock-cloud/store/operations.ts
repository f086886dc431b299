import type { ComposeHash, TransactionHash } from "../../core/ids.ts";
import type { Workload } from "./cvms.ts";
import type { Database } from "./database.ts";

/** What keeps a CVM busy. */
export type BusyKind = "create" | "update" | "start" | "stop" | "shutdown" | "restart";

/** A deletion takes no time. */
export type OperationKind = BusyKind | "delete";

/** An accepted change on its way into force, or its outcome. The workload is what the CVM is to run. */
export interface Operation extends Workload {
  readonly id: number;
  readonly correlationId: string;
  readonly cvmId: number;
  readonly kind: OperationKind;
  readonly state: "running" | "done" | "failed";
  /** What proved the hash's registration: a transaction, `already-registered`, or null where nothing had to. */
  readonly transactionHash: TransactionHash | "already-registered" | null;
  /** Where it boots the CVM. */
  readonly nodeId: number;
  readonly startedAt: number;
  /** Milliseconds that a fault makes it take longer. */
  readonly delayMs: number;
  readonly finishedAt: number | null;
  /** Why it did not come into force. */
  readonly failure: string | null;
}

type OperationRow = Omit<Operation, "settings"> & { readonly settings: string };

const columns = `id, correlation_id AS "correlationId", cvm_id AS "cvmId", kind, state,
  compose_hash AS "composeHash", compose_text AS "composeText", encrypted_env AS "encryptedEnv", settings,
  node_id AS "nodeId", transaction_hash AS "transactionHash", started_at AS "startedAt", delay_ms AS "delayMs",
  finished_at AS "finishedAt", failure`;

export class Operations {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  insert(operation: Omit<Operation, "id" | "state" | "finishedAt" | "failure">): Operation {
    const id = this.#database.run(
      `INSERT INTO operation (correlation_id, cvm_id, kind, state, compose_hash, compose_text, encrypted_env, settings,
         node_id, transaction_hash, started_at, delay_ms)
       VALUES (:correlationId, :cvmId, :kind, 'running', :composeHash, :composeText, :encryptedEnv, :settings,
         :nodeId, :transactionHash, :startedAt, :delayMs)`,
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

  running(): Operation[] {
    return this.#where("state = 'running'", {});
  }

  runningOf(cvmId: number): Operation | undefined {
    return this.#where("cvm_id = :cvmId AND state = 'running'", { cvmId })[0];
  }

  /** Oldest first. */
  ofCvm(cvmId: number): Operation[] {
    return this.#where("cvm_id = :cvmId", { cvmId });
  }

  /** When the CVM's last operation ended; undefined before its first one has. */
  lastFinishedAt(cvmId: number): number | undefined {
    const row = this.#database.first<{ at: number | null }>(
      "SELECT max(finished_at) AS at FROM operation WHERE cvm_id = :cvmId",
      { cvmId },
    );
    return row?.at ?? undefined;
  }

  /** The newest operation that the registration of this hash by this transaction started. */
  provenBy(cvmId: number, composeHash: ComposeHash, transactionHash: string): Operation | undefined {
    return this.#where("cvm_id = :cvmId AND compose_hash = :composeHash AND transaction_hash = :transactionHash", {
      cvmId,
      composeHash,
      transactionHash,
    }).at(-1);
  }

  #where(condition: string, parameters: Record<string, string | number>): Operation[] {
    const sql = `SELECT ${columns} FROM operation WHERE ${condition} ORDER BY id`;
    return this.#database
      .all<OperationRow>(sql, parameters)
      .map((row) => ({ ...row, settings: JSON.parse(row.settings) }));
  }
}
