import type { Address } from "viem";
import type { AppId, DeviceId } from "../../core/ids.ts";
import type { ReceiptProvider, ReceiptRequest, ReceiptWorld } from "./world.ts";

/** What a client tells a backend. Any of it may be false. */
export interface ReceiptClaim {
  readonly chainId: number;
  /** DstackKms of the CVM. */
  readonly kms: Address;
  readonly appId: AppId;
  /** As the client sent it, so perhaps no hash. */
  readonly composeHash: string;
  readonly deviceId: DeviceId;
  /** As the client sent it, so perhaps no hash; or `already-registered`. */
  readonly transactionHash: string;
}

/** The verdict of a backend, such as a cloud before it starts an update. */
export type BackendVerdict =
  /** The app has registered the hash and allows it now. HTTP 202. */
  | "accepted"
  /** Nothing is wrong so far, but the registration is not mined, or not final enough. Ask again. */
  | "waiting"
  /** The transaction proves nothing for this app and hash. HTTP 467. */
  | "transaction-not-verified"
  /** The app does not allow the hash now. HTTP 468. */
  | "hash-not-allowed"
  /** The claim is no 32-byte hash. HTTP 422. */
  | "malformed"
  /** The backend's endpoint cannot answer for the claimed chain, or contradicts itself. Nothing is known. HTTP 503. */
  | "unknown";

/** Whether a receipt holds the event of the claimed call. Null where a claim names no transaction. */
export type EventVerdict = "proven" | "not-proven" | "not-mined" | "malformed" | "unknown" | null;

/** Whether a transaction is exactly the execution of the owner's plan to add the claimed hash, or why not. */
export type PlanVerdict =
  | "applied"
  | "not-mined"
  | "reverted"
  | "safe-failed"
  | "missing-event"
  | "extra-event"
  | "wrong-order"
  | "not-by-owner"
  | "other-operation"
  | "malformed"
  | "unknown"
  | null;

/** The right verdicts at one moment of a case. */
export interface ReceiptVerdicts {
  /** What has just happened, in a case with several moments. */
  readonly when?: string | undefined;
  readonly backend: BackendVerdict;
  readonly events: EventVerdict;
  readonly plan: PlanVerdict;
}

/** Who owns the claimed app, as the plan says. */
export interface PlannedOwner {
  readonly kind: "key" | "safe" | "timelock" | "contract";
  readonly address: Address;
}

/** What a judge gets. */
export interface ReceiptMoment {
  readonly claim: ReceiptClaim;
  readonly owner: PlannedOwner;
  /** The block that must hold the registration. */
  readonly finality: "latest" | "safe" | "finalized";
  /** The judge's own endpoint. Some of them lie. */
  readonly provider: ReceiptProvider;
  readonly verdicts: ReceiptVerdicts;
}

/** What a case says about a moment. The rest is that of a claim about the world's app, which a key owns. */
export interface PlayedMoment extends Partial<Omit<ReceiptClaim, "deviceId" | "transactionHash">> {
  readonly transactionHash: string;
  readonly owner?: PlannedOwner | undefined;
  readonly finality?: ReceiptMoment["finality"] | undefined;
  /** Answers in the endpoint's place, or passes the request on. Each judge gets an endpoint of its own. */
  readonly answer?: (() => EndpointAnswer) | undefined;
}

export type EndpointAnswer = (
  call: ReceiptRequest,
  pass: (params?: readonly unknown[]) => Promise<unknown>,
) => Promise<unknown>;

/** One receipt that lies, or only looks as if it did. */
export interface ReceiptCase {
  readonly id: string;
  readonly group: ReceiptGroup;
  /** What happened, in one sentence. */
  readonly story: string;
  /** Why the verdicts are right. */
  readonly why: string;
  /** One for each moment that `play` yields. */
  readonly moments: readonly ReceiptVerdicts[];
  /** Sends the transactions. Yields whenever a claim is to be judged. */
  readonly play: (world: ReceiptWorld) => AsyncIterable<PlayedMoment>;
}

/** In the order of docs/receipts.md. */
export const receiptGroups = {
  routes: "Ways to make the call",
  forgeries: "Events that prove something else",
  state: "What happened to the hash, the app or the contract",
  chain: "What became of the transaction",
  claims: "What the client wrote",
  endpoints: "Endpoints that are late or wrong",
} as const;
export type ReceiptGroup = keyof typeof receiptGroups;

export function verdicts(
  backend: BackendVerdict,
  events: EventVerdict,
  plan: PlanVerdict,
  when?: string,
): ReceiptVerdicts {
  return { when, backend, events, plan };
}

/** The same at every moment, for every judge. */
export const proven = verdicts("accepted", "proven", "applied");
