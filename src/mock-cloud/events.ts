import type { ComposeHash } from "../core/ids.ts";
import type { FaultKind } from "./faults/rule.ts";
import type { AwaitedTag, OperationKind } from "./store/operations.ts";

/** Events inside the mock cloud, for demos and tests to watch. No event contains a secret. */
export type MockCloudEvent =
  | RequestDone
  | UpdateProposed
  | UpdatePrepared
  | RegistrationJudged
  | FinalityAwaited
  | FinalityJudged
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
  /** Without the query, because the query may contain a token. */
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

/** The update waits for another person to register its hash, and the cloud issued a commit token. */
export interface UpdatePrepared {
  readonly type: "update.prepared";
  readonly cvmId: string;
  readonly composeHash: ComposeHash;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Phase 2: the result of verifying that a hash is registered. */
export interface RegistrationJudged {
  readonly type: "registration.judged";
  readonly cvmId: string;
  readonly composeHash: ComposeHash;
  readonly transactionHash: string;
  /** HTTP status of the answer: 202, 466, 467, 468 or 503. */
  readonly status: number;
  readonly message: string;
}

/** An accepted update waits until this block tag reaches its registration. */
export interface FinalityAwaited {
  readonly type: "finality.awaited";
  readonly cvmId: string;
  readonly correlationId: string;
  readonly composeHash: ComposeHash;
  readonly tag: AwaitedTag;
}

/** The wait for finality ended. */
export interface FinalityJudged extends Omit<FinalityAwaited, "type"> {
  readonly type: "finality.judged";
  readonly verdict: "reached" | "refused" | "replaced";
  readonly message: string;
}

export interface OperationStarted {
  readonly type: "operation.started";
  readonly cvmId: string;
  readonly correlationId: string;
  readonly kind: OperationKind;
  readonly composeHash: ComposeHash;
}

/** The KMS decided whether the CVM may boot this document. */
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
  /** The new time, ISO 8601. */
  readonly now: string;
}

/** A fault that was set made something fail. */
export interface FaultStruck {
  readonly type: "fault.struck";
  /** Id of the rule, as returned by `setFault`. */
  readonly id: string;
  readonly kind: FaultKind;
  readonly cvmId: string | null;
  /** Request, RPC method or webhook event. Empty if the fault concerns the CVM as a whole. */
  readonly where: string;
}

/** The cloud called a webhook. */
export interface WebhookAttempted {
  readonly type: "webhook.attempted";
  readonly webhookId: string;
  readonly eventId: string;
  readonly event: string;
  /** Counts from 1. */
  readonly attempt: number;
  /** `pending` while there will be another attempt. */
  readonly state: "pending" | "delivered" | "failed";
  /** HTTP status. Null if the target gave no answer. */
  readonly status: number | null;
}

/** A bug in the mock cloud. The client gets a 500 without details. */
export interface InternalError {
  readonly type: "internal-error";
  readonly requestId: string;
  readonly message: string;
}

export type EventListener = (event: MockCloudEvent) => void;
