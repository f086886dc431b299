import type { AppCompose } from "../app-compose.ts";
import type { Hex } from "../ids.ts";

/**
 * What the linter is to look at. Everything may be missing: a rule that lacks the facts it is about has nothing to
 * say.
 */
export interface LintSubject {
  readonly app?: AppFacts | undefined;
  readonly kms?: KmsFacts | undefined;
  /** To whom the ownership is about to be transferred. */
  readonly newOwner?: OwnerFacts | undefined;
  /** The document whose hash is, or is to be, allowed. */
  readonly document?: AppCompose | undefined;
  /** The app's CVMs, as the cloud knows them. */
  readonly cvms?: readonly CvmFacts[] | undefined;
  /** What is about to be sent. Calls of core/batch fit. */
  readonly calls?: readonly LintCall[] | undefined;
  /** Values as a person gave them, before anything parsed them. */
  readonly inputs?: readonly LintInput[] | undefined;
}

export interface AppFacts {
  readonly appId: Hex;
  readonly hasCode: boolean;
  /** Whether the contract answers what only a DstackKms answers. */
  readonly isKms: boolean;
  /** Undefined where no app answers at the address. */
  readonly policy: PolicyFacts | undefined;
}

export interface PolicyFacts {
  readonly owner: OwnerFacts;
  readonly pendingOwner: OwnerFacts | undefined;
  /** Whether a new owner must accept. */
  readonly isTwoStep: boolean;
  readonly allowAnyDevice: boolean;
  readonly upgradesDisabled: boolean;
  /** What `appId()` answers. An app that has it loses its policy when it is upgraded to code of later releases. */
  readonly shiftedAppId: Hex | undefined;
  /** Undefined if the app is not an ERC-1967 proxy. */
  readonly implementation: Hex | undefined;
  /** All allowed hashes, or undefined if they are not known. */
  readonly composeHashes?: readonly Hex[] | undefined;
  /** All listed devices, or undefined if they are not known. */
  readonly devices?: readonly Hex[] | undefined;
}

export interface OwnerFacts {
  readonly address: Hex;
  readonly kind: "renounced" | "eoa" | "safe" | "timelock" | "contract";
  /** Of an EOA: whether it ever sent or held anything. */
  readonly isUsed?: boolean | undefined;
}

export interface KmsFacts {
  readonly address: Hex;
  /** What its factory gives new apps. Undefined if not known. */
  readonly appImplementation: Hex | undefined;
}

export interface CvmFacts {
  readonly name: string;
  readonly composeHash?: Hex | undefined;
  /** The machine it runs on. */
  readonly deviceId?: Hex | undefined;
}

export interface LintCall {
  readonly functionName: string;
  readonly args: readonly unknown[];
}

export interface LintInput {
  /** As a person would call it: "The compose hash". */
  readonly what: string;
  readonly text: string;
}

/**
 * - `error`: what is about to be done does not do what it seems to, or cannot be taken back; stops a write.
 * - `warning`: something is likely wrong, and the write does not make it worse.
 * - `note`: worth knowing.
 */
export type LintSeverity = "error" | "warning" | "note";

export interface LintRule {
  /** How a person accepts it: kebab-case. */
  readonly name: string;
  readonly severity: LintSeverity;
  /** One sentence for docs/operator.md. */
  readonly summary: string;
  readonly check: (subject: LintSubject) => readonly LintProblem[];
}

export interface LintProblem {
  /** One sentence. */
  readonly message: string;
  /** What to do about it, as one sentence. */
  readonly advice: string;
  /** Where the rule's own severity is too much or too little for this occurrence. */
  readonly severity?: LintSeverity | undefined;
}
