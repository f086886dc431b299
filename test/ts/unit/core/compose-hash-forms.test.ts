import { expect } from "chai";
import { composeHashForms, hashInEveryForm } from "../../../../src/core/compose-hash-forms/forms.ts";
import published from "../../../support/vectors/compose-hash.json" with { type: "json" };
import outside from "../../../support/vectors/compose-hash-outside.json" with { type: "json" };

/** By name of the form; `null` where the original raises an error. */
type Hashes = Readonly<Record<string, FormHashes | undefined>>;
interface FormHashes {
  readonly plain?: string | null;
  readonly normalised?: string | null;
}

describe("official compose hash forms", () => {
  for (const { name, about, text, hashes } of published.vectors) {
    it(`give the published hashes of ${name} (${about})`, () => expectHashes(text, hashes));
  }

  for (const { about, text, hashes } of outside.vectors) {
    it(`hash as the originals in Python and Go do: ${about}`, () => expectHashes(text, hashes));
  }

  it("have distinct names", () => {
    const names = composeHashForms.map(({ name }) => name);
    expect(new Set(names).size).to.equal(names.length);
  });
});

function expectHashes(text: string, hashes: Hashes): void {
  const computed = hashInEveryForm(text);
  for (const [name, { plain, normalised } = {}] of Object.entries(hashes)) {
    if (plain !== undefined) expectHash(name, false, plain);
    if (normalised !== undefined) expectHash(name, true, normalised);
  }

  function expectHash(name: string, normalised: boolean, expected: string | null): void {
    const found = computed.find((entry) => entry.form.name === name && entry.normalised === normalised);
    const what = `${name}, ${normalised ? "normalised" : "plain"}`;
    expect(found?.hash, what).to.equal(expected === null ? undefined : `0x${expected}`);
  }
}
