import { expect } from "chai";
import { compareVerdicts } from "../../../support/compose/compare.ts";
import { readComposeCorpus } from "../../../support/compose/corpus.ts";
import { acceptedHere, refusedHere } from "../../../support/compose/differences.ts";

// Docker Compose's verdicts are those of compose-go. The stage `clients` asks it about every file again.
describe("the validator of compose files", () => {
  const files = readComposeCorpus();

  for (const topic of new Set(files.map((file) => file.topic)))
    it(`decides as Docker Compose, or with a reason, on files about ${topic}`, async () => {
      expect(await compareVerdicts(files.filter((file) => file.topic === topic))).to.deep.equal([]);
    });

  it("is compared on at least 500 files of different names, of which Docker Compose refuses at least 200", () => {
    expect(files).to.have.lengthOf.above(500);
    expect(new Set(files.map(({ name }) => name)).size).to.equal(files.length);
    expect(files.filter(({ isAccepted }) => !isAccepted)).to.have.lengthOf.above(200);
  });

  it("has reasons only for files of the corpus", () => {
    const names = new Set(files.map(({ name }) => name));
    const named = [...Object.keys(refusedHere), ...Object.keys(acceptedHere)];
    expect(named.filter((name) => !names.has(name))).to.deep.equal([]);
  });
});
