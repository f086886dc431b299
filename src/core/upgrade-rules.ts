import type { ChangedAnswer } from "./app-questions.ts";
import type { Generation } from "./generation.ts";
import type { Hex } from "./ids.ts";

/** Why an upgrade is refused. */
export interface UpgradeObjection {
  readonly rule: UpgradeRule;
  /** One sentence or more. */
  readonly problem: string;
  /** The name with which the operator may override it. Undefined if nothing overrides it. */
  readonly acceptAs?: string | undefined;
}

export type UpgradeRule =
  | "upgrades-disabled"
  | "renounced-owner"
  | "same-address"
  | "no-code"
  | "is-proxy"
  | "not-uups"
  | "wrong-uuid"
  | "is-kms"
  | "no-app-auth"
  | "other-generation"
  | "not-locked"
  | "unsafe-code"
  | "other-code"
  | "layout-collision"
  | "unproven-layout"
  | "history"
  | "unsimulated-upgrade"
  | "upgrade-reverts"
  | "answers-change"
  | "unprotected"
  | "owner-functions"
  | "last-upgrade";

/** What the implementation's own address answers. */
export interface ImplementationFacts {
  readonly address: Hex;
  readonly hasCode: boolean;
  /** Whether the address is a proxy itself (ERC-1967). */
  readonly isProxy: boolean;
  /** What `proxiableUUID()` returns. Undefined if it reverts or returns no word. */
  readonly proxiableUuid: Hex | undefined;
  readonly isKms: boolean;
  /** Whether it says that it has the management functions of a DstackApp (ERC-165 `0x8fd37527`). */
  readonly isManageable: boolean;
  readonly generation: Generation;
  /** Functions that initialise the implementation itself, for anyone. */
  readonly openInitializers: readonly string[];
}

/** ERC-1967: keccak256("eip1967.proxy.implementation") - 1. */
export const implementationSlot: Hex = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";

export interface UpgradedContracts {
  readonly app: { readonly address: Hex; readonly generation: Generation };
  readonly kms: { readonly address: Hex; readonly generation: Generation };
}

/** What the implementation's own answers forbid. */
export function objectToImplementation(
  facts: ImplementationFacts,
  { app, kms }: UpgradedContracts,
): readonly UpgradeObjection[] {
  const { address, generation } = facts;
  const only = (rule: UpgradeRule, problem: string) => [{ rule, problem }];
  if (address.toLowerCase() === app.address.toLowerCase())
    return only("same-address", `${address} is the app itself, not an implementation.`);
  if (!facts.hasCode) return only("no-code", `There is no code at ${address}.`);
  if (facts.isKms || address.toLowerCase() === kms.address.toLowerCase())
    return only("is-kms", `${address} answers like a DstackKms. It is no implementation of an app.`);
  if (facts.isProxy)
    return only("is-proxy", `${address} is a proxy itself. Give the implementation that stands behind it.`);
  const objections: UpgradeObjection[] = [];
  const object = (rule: UpgradeRule, problem: string) => void objections.push({ rule, problem });
  if (facts.proxiableUuid === undefined)
    object(
      "not-uups",
      `${address} has no proxiableUUID(): it is no UUPS implementation, and no later upgrade would be possible.`,
    );
  else if (facts.proxiableUuid !== implementationSlot)
    object(
      "wrong-uuid",
      `${address} answers proxiableUUID() with ${facts.proxiableUuid}, not with the ERC-1967 slot ${implementationSlot}.`,
    );
  if (!facts.isManageable)
    object("no-app-auth", `${address} does not say that it is a DstackApp: supportsInterface(0x8fd37527) is not true.`);
  if (generation.id === "unknown")
    object(
      "no-app-auth",
      `${address} supports no known IAppAuth interface (ERC-165), so no KMS is known to accept it.`,
    );
  else if (generation.id !== kms.generation.id && generation.id !== app.generation.id)
    object("other-generation", describeOtherGeneration(facts, { app, kms }));
  if (facts.openInitializers.length > 0)
    object(
      "not-locked",
      `Anyone can initialise the implementation ${address} itself, with ${facts.openInitializers.join(" or ")}: its constructor does not call _disableInitializers().`,
    );
  return objections;
}

function describeOtherGeneration({ generation }: ImplementationFacts, { app, kms }: UpgradedContracts): string {
  return `The implementation is of release ${generation.releases}, the KMS ${kms.address} of ${kms.generation.releases}, and the app of ${app.generation.releases}. A KMS of one release refuses apps of another one, or treats them as apps of epoch 0 alone: the app could be shut out. Upgrade the KMS first, or use an implementation of its release.`;
}

/** What a simulated upgrade showed. */
export interface SimulatedUpgrade {
  /** The reason of the revert, as the end of a sentence. Undefined if the upgrade succeeds. */
  readonly revert: string | undefined;
  readonly changed: readonly ChangedAnswer[];
  /** Functions that a stranger could call successfully afterwards. */
  readonly open: readonly string[];
  /** Owner functions that the owner could no longer use, each with what happened. */
  readonly broken: readonly string[];
  /** Whether the owner could upgrade the app once more. */
  readonly canUpgradeAgain: boolean;
}

export interface ObjectToSimulationOptions {
  /** Whether the app is new: `before` is then what it must answer. @default false, an upgrade */
  readonly isNew?: boolean | undefined;
}

/** What the simulation forbids. */
export function objectToSimulation(
  { revert, changed, open, broken, canUpgradeAgain }: SimulatedUpgrade,
  { isNew = false }: ObjectToSimulationOptions = {},
): readonly UpgradeObjection[] {
  const change = isNew ? "deployment" : "upgrade";
  if (revert !== undefined)
    return [{ rule: "upgrade-reverts", problem: `The ${change} reverts on the node, ${revert}.` }];
  const objections: UpgradeObjection[] = [];
  const object = (rule: UpgradeRule, problem: string) => void objections.push({ rule, problem });
  const [first] = changed;
  if (first !== undefined) {
    const more = changed.length > 1 ? ` ${changed.length - 1} more answers differ.` : "";
    const wanted = describeAnswer(first.before);
    object(
      "answers-change",
      `After the ${change} the app would answer ${first.title} with ${describeAnswer(first.after)}, ${isNew ? `and ${wanted} is wanted` : `and today it answers ${wanted}`}.${more}${isNew ? "" : " Data would be lost, or the app would be shut out."}`,
    );
  }
  if (open.length > 0) object("unprotected", `After the ${change} anyone could call ${open.join(", ")}.`);
  if (broken.length > 0)
    object("owner-functions", `After the ${change} the owner could not use the app: ${broken.join("; ")}.`);
  if (!canUpgradeAgain)
    object("last-upgrade", `After the ${change} the owner could not upgrade the app again: upgradeToAndCall reverts.`);
  return objections;
}

function describeAnswer(answer: Hex | undefined): string {
  if (answer === undefined) return "no value";
  if (/^0x0{63}[01]$/.test(answer)) return answer.endsWith("1") ? "true" : "false (or zero)";
  return answer.length > 74 ? `${answer.slice(0, 74)}…` : answer;
}
