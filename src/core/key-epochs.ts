import { KeyEpochsError } from "../errors/index.ts";
import type { Generation } from "./generation.ts";
import type { Hex } from "./hex.ts";

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
