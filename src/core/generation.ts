import { KeyEpochsError } from "../errors/index.ts";
import type { Hex } from "./ids.ts";

export type GenerationId = "first" | "0.6.4" | "0.6.5" | "unknown";

/** Releases of the public contracts whose policy is read and governs in the same way. */
export interface Generation {
  readonly id: GenerationId;
  /** The ERC-165 interface id by which a contract says it; null where no id says it. */
  readonly interfaceId: Hex | null;
  /** In words, as narrow as what was read allows. */
  readonly releases: string;
  /** Whether approvals count per key epoch, so that the plain lists are those of app epoch 0; null if not known. */
  readonly hasKeyEpochs: boolean | null;
}

/** Named after the first release. 0.6.6 answers the same interface ids as 0.6.5. */
export const generations: Readonly<Record<GenerationId, Generation>> = {
  first: { id: "first", interfaceId: "0x1e079198", releases: "up to 0.6.0", hasKeyEpochs: false },
  "0.6.4": { id: "0.6.4", interfaceId: "0xd33835bd", releases: "0.6.4", hasKeyEpochs: true },
  "0.6.5": { id: "0.6.5", interfaceId: "0xc396c1b0", releases: "0.6.5 or 0.6.6", hasKeyEpochs: true },
  unknown: { id: "unknown", interfaceId: null, releases: "not known", hasKeyEpochs: null },
};

const withEpochs = [generations["0.6.5"], generations["0.6.4"]] as const;

/** ERC-165: a contract that implements it says yes to its own id, and no to this other one. */
const erc165 = "0x01ffc9a7";
const noInterface = "0xffffffff";

/** What to ask `supportsInterface` for, in this order, for `judgeGeneration`. */
export const askedInterfaceIds: readonly Hex[] = [
  erc165,
  noInterface,
  ...[...withEpochs, generations.first].flatMap(({ interfaceId }) => interfaceId ?? []),
];

/**
 * Which generation a contract is of, by what `supportsInterface` returned for each of `askedInterfaceIds`.
 *
 * A contract that answers none of them is older than ERC-165 in these contracts, so of the first generation: whether it
 * is a contract of dstack at all is for its views to show. One that answers, but not as ERC-165 demands (yes to
 * everything, no to its own id, something that is no bool, only now and then), says nothing that can be relied on.
 *
 * @param answers the returned data; undefined where the call failed
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

/** Views that came one after the other within the first generation. */
export interface FirstGenerationViews {
  readonly hasTcbFlag: boolean;
  readonly isTwoStep: boolean;
  /** Whether it has `appId()`, which only the first releases have. */
  readonly isShifted: boolean;
}

/** The generation with the releases of apps that have these views. Later generations are told by their id alone. */
export function narrowApp(
  generation: Generation,
  { hasTcbFlag, isTwoStep, isShifted }: FirstGenerationViews,
): Generation {
  if (generation.id !== "first") return generation;
  if (isShifted) return { ...generation, releases: "0.4.2 to 0.5.3" };
  if (isTwoStep) return { ...generation, releases: hasTcbFlag ? "0.6.0" : generation.releases };
  return { ...generation, releases: hasTcbFlag ? "0.5.9 to 0.5.16" : "0.5.4 to 0.5.8" };
}

/** The same for a KMS. */
export function narrowKms(generation: Generation, { isTwoStep }: Pick<FirstGenerationViews, "isTwoStep">): Generation {
  if (generation.id !== "first") return generation;
  return { ...generation, releases: isTwoStep ? "0.6.0" : "up to 0.5.16" };
}

/** For people. */
export function describeGeneration({ id, releases }: Generation): string {
  if (id === "unknown") return "not known: it does not answer supportsInterface as a release of dstack does";
  return id === "first" ? `${releases} (first generation)` : `${releases} (key epochs)`;
}

/** A contract that takes part in a decision, and the generation it is of. */
export interface JudgedContract {
  readonly role: "app" | "KMS";
  readonly address: Hex;
  readonly generation: Generation;
}

/** What must stand beside everything that was read from the first generation's views of a contract with key epochs. */
export const epochCaveat = "app epoch 0, may not be what governs";
const unknownCaveat = "generation not known, may not be what governs";

/** The caveat for lists and verdicts of these contracts; null where all are of the first generation. */
export function caveatOf(contracts: readonly Pick<JudgedContract, "generation">[]): string | null {
  if (contracts.some(({ generation }) => generation.hasKeyEpochs)) return epochCaveat;
  return contracts.some(({ generation }) => generation.hasKeyEpochs === null) ? unknownCaveat : null;
}

/**
 * Returns if the first generation's lists are what governs, or if the caller accepts that they may not be.
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
