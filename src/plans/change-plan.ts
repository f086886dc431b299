import type { Address } from "viem";
import type { AppStatus } from "../chain/read-app.ts";
import type { ReadOwnerReturnType } from "../chain/read-owner.ts";
import type { AppId, ComposeHash, DeviceId, Hex } from "../core/ids.ts";
import type { OwnedContract, OwnerCall } from "../core/owner-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import type { PinnedBlock } from "../prune/allowlist-use.ts";
import type { PrunePlan } from "../prune/plan-prune.ts";

/**
 * Changes of an app or a KMS, with the reason for each, as their owner reviews and executes them. It holds no secret.
 */
export interface ChangePlan {
  readonly schemaVersion: 1;
  /** The task that made it, such as `hash add`. */
  readonly task: string;
  /** The program that made it, with its version. */
  readonly createdBy: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly chainId: number;
  /** Undefined for a plan that changes only a KMS. */
  readonly appId: AppId | undefined;
  readonly kms: Address | undefined;
  /** Every contract that the calls may go to. Addresses are in lower case. */
  readonly contracts: readonly PlannedContract[];
  /** The account whose call it must be: mostly the owner of the contracts. */
  readonly owner: PlannedOwner;
  /** The block whose state the facts describe. */
  readonly pinned: PinnedBlock;
  /** In the order of their execution. */
  readonly changes: readonly PlannedChange[];
  /** The names given to `--accept`. */
  readonly accepted: readonly string[];
  /** What the changes would cost, sent by a key. Null if it was not estimated. */
  readonly price: PriceEstimate | null;
  readonly update?: PlannedUpdate | undefined;
  readonly prune?: PlannedPrune | undefined;
  readonly upgrade?: PlannedUpgrade | undefined;
  /** SHA-256 of all other fields. It identifies the plan, and shows that a file was changed. */
  readonly digest: Hex;
}

export interface PlannedContract {
  readonly contract: OwnedContract;
  readonly address: Address;
  /** Id of its generation, as `readGeneration` returns it. */
  readonly generation: string;
}

export interface PlannedOwner {
  readonly address: Address;
  readonly kind: OwnerKind;
}

/** How an owner executes a plan: it signs, its owners sign, a delay passes, or its own rules apply. */
export type OwnerKind = "key" | "safe" | "timelock" | "contract";

/** The kind in a plan of what `readOwner` describes. Undefined if no account can make a call any more. */
export function ownerKindOf(kind: ReadOwnerReturnType["kind"]): OwnerKind | undefined {
  if (kind === "renounced") return undefined;
  return kind === "eoa" ? "key" : kind;
}

export interface PlannedChange {
  readonly call: OwnerCall;
  readonly reason: ChangeReason;
}

/** Why a change is planned. `checkPlan` compares each reason with the chain and the cloud. */
export type ChangeReason =
  /** The operator named it. */
  | { readonly rule: "requested" }
  /** The update of these CVMs needs it. */
  | { readonly rule: "update"; readonly cvms: readonly { readonly id: string; readonly name: string }[] }
  /** No keep rule of prune keeps it. */
  | { readonly rule: "unneeded" }
  /** The operator must not run it any more. */
  | { readonly rule: "revoked"; readonly note?: string | undefined }
  /** The app gets the implementation of the plan's `upgrade`. */
  | { readonly rule: "upgrade" };

/** The CVMs that an update moves to new compose hashes, and what the update needs of the app besides the calls. */
export interface PlannedUpdate {
  readonly cvms: readonly PlannedCvm[];
  /** The app's switches when the plan was made. Absent in plans of earlier releases. */
  readonly app?: Pick<AppStatus, "allowAnyDevice" | "requireTcbUpToDate"> | undefined;
}

export interface PlannedCvm {
  readonly id: string;
  readonly name: string;
  readonly previousComposeHash?: ComposeHash | undefined;
  readonly composeHash: ComposeHash;
  /** The CVM's device, allowed or not. Undefined if the cloud does not name it. */
  readonly deviceId?: DeviceId | undefined;
  /** Whether the contract already allowed the hash when the plan was made. */
  readonly isAllowed: boolean;
}

/** The facts of a prune plan. The fields that every plan has are in the plan itself. */
export type PlannedPrune = Pick<PrunePlan, "policy" | "rows" | "unknowns">;

/** The prune that a plan describes; undefined for a plan of another task. */
export function prunePlanOf({ chainId, appId, owner, pinned, prune }: ChangePlan): PrunePlan | undefined {
  if (prune === undefined || appId === undefined) return undefined;
  const isExecutable = prune.unknowns.every(({ isAccepted }) => isAccepted);
  return { chainId, appId, owner: owner.address, pinned, ...prune, isExecutable };
}

/** The implementation that an upgrade installs. */
export interface PlannedUpgrade {
  readonly implementation: Address;
  /** Keccak-256 of its code. */
  readonly codeHash: Hex;
  readonly previousImplementation: Address;
  readonly previousCodeHash: Hex;
  /** Id of the implementation's generation. */
  readonly generation: string;
  /** The result of the comparison of the storage layouts. */
  readonly layout: string;
  /** The KMS that is asked about the app's boots before and after. Absent in plans of earlier releases. */
  readonly kms?: Address | undefined;
}
