import type { AppCompose } from "../app-compose.ts";
import type { Generation } from "../generation.ts";
import type { Hex } from "../ids.ts";

/** Input of the linter. Every field is optional: a rule whose input is missing reports nothing. */
export interface LintSubject {
  readonly app?: LintedApp | undefined;
  readonly kms?: LintedKms | undefined;
  /** The document whose hash is allowed or will be allowed. */
  readonly document?: AppCompose | undefined;
  /** The app's CVMs, as the cloud knows them. */
  readonly cvms?: readonly LintedCvm[] | undefined;
  /** The calls to be sent. A `PolicyCall` fits. */
  readonly calls?: readonly LintCall[] | undefined;
  /** Values as the user entered them, before parsing. */
  readonly inputs?: readonly LintInput[] | undefined;
}

export interface LintedApp {
  readonly appId: Hex;
  readonly hasCode: boolean;
  /** Whether the contract has a view that only a DstackKms has. */
  readonly isKms: boolean;
  /** Undefined if there is no app at the address. */
  readonly policy: LintedPolicy | undefined;
}

export interface LintedPolicy {
  readonly owner: LintedOwner;
  readonly pendingOwner: LintedOwner | undefined;
  /** Whether a new owner must accept. */
  readonly isTwoStep: boolean;
  readonly allowAnyDevice: boolean;
  readonly upgradesDisabled: boolean;
  /**
   * Return value of `appId()`. An app with this view loses its policy when it is upgraded to code of later releases.
   */
  readonly shiftedAppId: Hex | undefined;
  /** Undefined if the app is not an ERC-1967 proxy. */
  readonly implementation: Hex | undefined;
  /** Undefined if it is not known. */
  readonly generation?: Generation | undefined;
  /** All allowed hashes, or undefined if they are not known. */
  readonly composeHashes?: readonly Hex[] | undefined;
  /** All listed devices, or undefined if they are not known. */
  readonly devices?: readonly Hex[] | undefined;
}

export interface LintedOwner {
  readonly address: Hex;
  readonly kind: "renounced" | "eoa" | "safe" | "timelock" | "contract";
  /** For an EOA: whether it has sent a transaction or holds a balance. */
  readonly isUsed?: boolean | undefined;
}

export interface LintedKms {
  readonly address: Hex;
  /** The implementation that its factory gives new apps. Undefined if not known. */
  readonly appImplementation: Hex | undefined;
  /** Undefined if it is not known. */
  readonly generation?: Generation | undefined;
}

export interface LintedCvm {
  readonly name: string;
  /** As the cloud names it: `running`, `stopped` or another. Undefined if it is not known. */
  readonly status?: string | undefined;
  readonly composeHash?: Hex | undefined;
  /** The machine it runs on. */
  readonly deviceId?: Hex | undefined;
  /** Version of its guest OS, such as 0.5.14. */
  readonly osVersion?: string | undefined;
  /** What the contract itself says of that hash. If absent, the app's list decides. */
  readonly isHashAllowed?: boolean | undefined;
  /** Whether the contract itself lists that machine. If absent, the app's list decides. */
  readonly isDeviceListed?: boolean | undefined;
}

export interface LintCall {
  readonly functionName: string;
  readonly args: readonly unknown[];
}

export interface LintInput {
  /** Name for messages: "The compose hash". */
  readonly what: string;
  readonly text: string;
}

/**
 * - `error`: the operation does not do what it seems to do, or cannot be undone. It stops a write.
 * - `warning`: something is probably wrong, but the write does not make it worse.
 * - `note`: worth knowing.
 */
export type LintSeverity = "error" | "warning" | "note";

export interface LintRule {
  /** Kebab-case. A user accepts a finding by this name. */
  readonly name: string;
  readonly severity: LintSeverity;
  /** Set if it does not help to accept an error of this rule, because no call could succeed. */
  readonly isFinal?: true;
  /** One sentence for docs/operator.md. */
  readonly summary: string;
  readonly check: (subject: LintSubject) => readonly LintProblem[];
}

export interface LintProblem {
  /** One sentence. */
  readonly message: string;
  /** What to do about it, as one sentence. */
  readonly advice: string;
  /** Overrides the rule's own severity for this finding. */
  readonly severity?: LintSeverity | undefined;
}
