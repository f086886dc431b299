import type { ComposeHash } from "../core/ids.ts";
import type { FaultKind } from "./faults/rule.ts";
import type { OperationKind } from "./store/operations.ts";

/** What happens inside the mock cloud, for demos and tests to watch. No event carries a secret. */
export type MockCloudEvent =
  | RequestDone
  | UpdateProposed
  | UpdatePrepared
  | RegistrationJudged
  | OperationStarted
  | BootJudged
  | OperationFinished
  | ClockAdvanced
  | FaultStruck
  | WebhookAttempted
  | InternalError;

export interface RequestDone {
  readonly type: "request";
  readonly method: string;
  /** Without the query, which may hold a token. */
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
  readonly requestId: string;
}

/** Phase 1 was answered. */
export interface UpdateProposed {
  readonly type: "update.proposed";
  readonly cvmId: string;
  readonly composeHash: ComposeHash;
  readonly outcome: "registration-required" | "accepted" | "no-change";
}

/** The update waits for its registration by others, and a commit token was given out. */
export interface UpdatePrepared {
  readonly type: "update.prepared";
  readonly cvmId: string;
  readonly composeHash: ComposeHash;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Phase 2: what the chain says about the registration of a hash. */
export interface RegistrationJudged {
  readonly type: "registration.judged";
  readonly cvmId: string;
  readonly composeHash: ComposeHash;
  readonly transactionHash: string;
  /** HTTP status of the answer: 202, 466, 467, 468 or 503. */
  readonly status: number;
  readonly message: string;
}

export interface OperationStarted {
  readonly type: "operation.started";
  readonly cvmId: string;
  readonly correlationId: string;
  readonly kind: OperationKind;
  readonly composeHash: ComposeHash;
}

/** The KMS was asked whether the CVM may boot this document. */
export interface BootJudged {
  readonly type: "boot.judged";
  readonly cvmId: string;
  readonly composeHash: ComposeHash;
  readonly verdict: "allowed" | "refused" | "unreadable";
  readonly reason: string;
}

export interface OperationFinished {
  readonly type: "operation.finished";
  readonly cvmId: string;
  readonly correlationId: string;
  readonly kind: OperationKind;
  readonly composeHash: ComposeHash;
  readonly outcome: "done" | "failed";
  readonly failure: string | null;
}

export interface ClockAdvanced {
  readonly type: "clock.advanced";
  readonly milliseconds: number;
  /** ISO 8601, after the move. */
  readonly now: string;
}

/** A fault that was set made something fail. */
export interface FaultStruck {
  readonly type: "fault.struck";
  /** Of the rule, as `setFault` answered it. */
  readonly id: string;
  readonly kind: FaultKind;
  readonly cvmId: string | null;
  /** Request, RPC method or webhook event; empty where the CVM says it all. */
  readonly where: string;
}

/** A webhook was called. */
export interface WebhookAttempted {
  readonly type: "webhook.attempted";
  readonly webhookId: string;
  readonly eventId: string;
  readonly event: string;
  /** Counts from 1. */
  readonly attempt: number;
  /** `pending` while there will be another attempt. */
  readonly state: "pending" | "delivered" | "failed";
  /** HTTP status; null where there was no answer. */
  readonly status: number | null;
}

/** A bug of the mock cloud's own: the client sees a 500 without details. */
export interface InternalError {
  readonly type: "internal-error";
  readonly requestId: string;
  readonly message: string;
}

export type EventListener = (event: MockCloudEvent) => void;
