import { expect } from "chai";

/** The error a promise is rejected with, which must be of this class. */
export async function catchError<Thrown extends Error>(
  promise: Promise<unknown>,
  type: abstract new (...args: never[]) => Thrown,
): Promise<Thrown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) throw new Error(`Expected ${type.name}, but the promise was fulfilled.`);
  expect(outcome.error).to.be.instanceOf(type);
  return outcome.error as Thrown; // checked on the line above
}
