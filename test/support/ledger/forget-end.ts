import { DatabaseSync } from "../../../src/files/sqlite.ts";

/** Leaves a ledger's newest batch as a process leaves it that is killed once its transactions are sent. */
export function forgetEnd(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(`
    UPDATE batches SET ended_at = NULL WHERE id = (SELECT max(id) FROM batches);
    UPDATE transactions SET state = 'open', hash = NULL, block = NULL, gas_used = NULL, cost = NULL, finality = NULL,
      ended_at = NULL WHERE batch = (SELECT max(id) FROM batches);`);
  database.close();
}
