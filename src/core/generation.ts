import { KeyEpochsError } from "../errors/index.ts";
import type { Hex } from "./ids.ts";

export type GenerationId = "first" | "0.6.4" | "0.6.5" | "unknown";

/** A group of contract releases that store and enforce their policy in the same way. */
export interface Generation {
  readonly id: GenerationId;
  /** The ERC-165 interface id that contracts of this generation support. Null if there is none. */
  readonly interfaceId: Hex | null;
  /** The releases in words, as precise as the values read allow. */
  readonly releases: string;
  /** Whether approvals are stored per key epoch; the plain lists are then those of app epoch 0. Null if not known. */
  readonly hasKeyEpochs: boolean | null;
}

/** Each id is the first release of its generation. 0.6.6 supports the same interface ids as 0.6.5. */
export const generations: Readonly<Record<GenerationId, Generation>> = {
  first: { id: "first", interfaceId: "0x1e079198", releases: "up to 0.6.0", hasKeyEpochs: false },
  "0.6.4": { id: "0.6.4", interfaceId: "0xd33835bd", releases: "0.6.4", hasKeyEpochs: true },
  "0.6.5": { id: "0.6.5", interfaceId: "0xc396c1b0", releases: "0.6.5 or 0.6.6", hasKeyEpochs: true },
  unknown: { id: "unknown", interfaceId: null, releases: "not known", hasKeyEpochs: null },
};

const withEpochs = [generations["0.6.5"], generations["0.6.4"]] as const;

/** A contract that implements ERC-165 returns true for `0x01ffc9a7` and false for `0xffffffff`. */
const erc165 = "0x01ffc9a7";
const noInterface = "0xffffffff";

/** Interface ids to pass to `supportsInterface`, in the order that `judgeGeneration` expects. */
export const askedInterfaceIds: readonly Hex[] = [
  erc165,
  noInterface,
  ...[...withEpochs, generations.first].flatMap(({ interfaceId }) => interfaceId ?? []),
];

/**
 * Determines a contract's generation from what `supportsInterface` returned for each of `askedInterfaceIds`.
 *
 * If no call returned data, the contract is older than ERC-165 in these contracts, so it is of the first generation.
 * This does not prove that it is a dstack contract; its views must show that. If the contract answers, but not as
 * ERC-165 requires, the result is `unknown`. Examples: it returns true for every id or false for the ERC-165 id, it
 * returns a value that is not a bool, or it answers only some of the calls.
 *
 * @param answers the returned data; undefined if the call failed
 */
export function judgeGeneration(answers: readonly (Hex | undefined)[]): Generation {
  if (answers.every((data) => data === undefined || data === "0x")) return generations.first;
  const says = new Map(askedInterfaceIds.map((id, index) => [id, decodeBool(answers[index])]));
  const isCompliant = says.get(erc165) === true && says.get(noInterface) === false;
  if (!isCompliant || [...says.values()].includes(undefined)) return generations.unknown;
  const claimed = withEpochs.filter(({ interfaceId }) => interfaceId !== null && says.get(interfaceId));
  const [later, ...others] = claimed;
  if (later !== undefined) return others.length === 0 ? later : generations.unknown;
  return says.get("0x1e079198") ? generations.first : generations.unknown;
}

function decodeBool(data: Hex | undefined): boolean | undefined {
  if (data === undefined || !/^0x0{63}[01]$/.test(data)) return undefined;
  return data.endsWith("1");
}

/** Views that tell the releases of the first generation apart. */
export interface FirstGenerationViews {
  readonly hasTcbFlag: boolean;
  readonly isTwoStep: boolean;
  /** Whether it has `appId()`, which only the first releases have. */
  readonly isShifted: boolean;
}

/**
 * Narrows the releases of a first-generation app by the views it has. Later generations are identified by their
 * interface id alone, so they are returned unchanged.
 */
export function narrowApp(
  generation: Generation,
  { hasTcbFlag, isTwoStep, isShifted }: FirstGenerationViews,
): Generation {
  if (generation.id !== "first") return generation;
  if (isShifted) return { ...generation, releases: "0.4.2 to 0.5.3" };
  if (isTwoStep) return { ...generation, releases: hasTcbFlag ? "0.6.0" : generation.releases };
  return { ...generation, releases: hasTcbFlag ? "0.5.9 to 0.5.16" : "0.5.4 to 0.5.8" };
}

/** Narrows the releases of a first-generation KMS in the same way. */
export function narrowKms(generation: Generation, { isTwoStep }: Pick<FirstGenerationViews, "isTwoStep">): Generation {
  if (generation.id !== "first") return generation;
  return { ...generation, releases: isTwoStep ? "0.6.0" : "up to 0.5.16" };
}

/** Describes a generation for human readers. */
export function describeGeneration({ id, releases }: Generation): string {
  if (id === "unknown") return "not known: it does not answer supportsInterface like a dstack release";
  return id === "first" ? `${releases} (first generation)` : `${releases} (key epochs)`;
}

/** A contract that takes part in a decision, and the generation it is of. */
export interface JudgedContract {
  readonly role: "app" | "KMS";
  readonly address: Hex;
  readonly generation: Generation;
}

/** Caveat to show next to every value that was read through first-generation views of a contract with key epochs. */
export const epochCaveat = "app epoch 0 only, another epoch may decide";
const unknownCaveat = "generation not known, these values may not decide";

/** Returns the caveat for lists and verdicts of these contracts. Null if all are of the first generation. */
export function caveatOf(contracts: readonly Pick<JudgedContract, "generation">[]): string | null {
  if (contracts.some(({ generation }) => generation.hasKeyEpochs)) return epochCaveat;
  return contracts.some(({ generation }) => generation.hasKeyEpochs === null) ? unknownCaveat : null;
}

/**
 * Returns normally if the first generation's lists decide, or if the caller accepts that they may not decide.
 *
 * @throws KeyEpochsError
 */
export function requireNoKeyEpochs(contracts: readonly JudgedContract[], isAccepted: boolean): void {
  const doubtful = contracts.filter(({ generation }) => generation.hasKeyEpochs !== false);
  if (doubtful.length === 0 || isAccepted) return;
  throw new KeyEpochsError(
    doubtful.map(({ role, address, generation: { id, releases, hasKeyEpochs } }) => ({
      role,
      address,
      generation: id,
      releases,
      hasKeyEpochs,
    })),
  );
}
