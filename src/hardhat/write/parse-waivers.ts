import { InvalidArgumentError } from "../../errors/index.ts";

/**
 * What an operator waives, by name and separated by commas.
 *
 * @throws InvalidArgumentError for a name that is none of `known`
 */
export function parseWaivers<Name extends string>(raw: string | undefined, known: readonly Name[]): ReadonlySet<Name> {
  const names = (raw ?? "").split(",").flatMap((name) => name.trim() || []);
  return new Set(
    names.map((name) => {
      const waiver = known.find((candidate) => candidate === name);
      if (waiver !== undefined) return waiver;
      throw new InvalidArgumentError(`Nothing named ${name} can be waived here.`, {
        nextStep: `Give --waive one or more of ${known.join(", ")}.`,
        context: { known },
      });
    }),
  );
}
