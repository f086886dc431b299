import type { TransactionHash } from "../core/ids.ts";
import type { PolicyCall } from "../core/owner-calls.ts";
import type { BatchMode, BatchTransaction } from "./batch-result.ts";

/** What a batch tells while it runs, for progress and logs. */
export type BatchEvent =
  | { readonly kind: "chosen"; readonly mode: BatchMode; readonly reason: string }
  | {
      readonly kind: "sent";
      readonly transactionHash: TransactionHash;
      readonly calls: readonly PolicyCall[];
      readonly isFromRecord: boolean;
    }
  | { readonly kind: "mined"; readonly transaction: BatchTransaction; readonly calls: readonly PolicyCall[] };
