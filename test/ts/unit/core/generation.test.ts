import { expect } from "chai";
import { type Hex, pad } from "viem";
import {
  askedInterfaceIds,
  caveatOf,
  describeGeneration,
  epochCaveat,
  generations,
  judgeGeneration,
  narrowApp,
  narrowKms,
  requireNoKeyEpochs,
} from "../../../../src/core/generation.ts";
import { KeyEpochsError } from "../../../../src/errors/index.ts";

const yes = pad("0x01");
const no = pad("0x00");
const first = "0x1e079198";
const v064 = "0xd33835bd";
const v065 = "0xc396c1b0";

/** What a contract that follows ERC-165 answers, and has these interfaces besides. */
function answers(supported: readonly Hex[], others: Readonly<Record<Hex, Hex | undefined>> = {}) {
  return askedInterfaceIds.map((id) => {
    if (id in others) return others[id];
    return id === "0x01ffc9a7" || supported.includes(id) ? yes : no;
  });
}

describe("the generation of a contract", () => {
  const cases: readonly [what: string, answers: readonly (Hex | undefined)[], id: string][] = [
    ["the old interface alone", answers([first]), "first"],
    ["the interface of 0.6.4", answers([first, v064]), "0.6.4"],
    ["the interface of 0.6.5 and 0.6.6", answers([first, v065]), "0.6.5"],
    ["the interface of 0.6.5 without the old one", answers([v065]), "0.6.5"],
    ["no answer at all", askedInterfaceIds.map(() => undefined), "first"],
    ["empty answers, as of a fallback", askedInterfaceIds.map(() => "0x" as const), "first"],
    ["yes to everything", askedInterfaceIds.map(() => yes), "unknown"],
    ["no to everything", askedInterfaceIds.map(() => no), "unknown"],
    ["no to its own ERC-165 id", answers([first], { "0x01ffc9a7": no }), "unknown"],
    ["none of the known interfaces", answers([]), "unknown"],
    ["both epoch interfaces, which do not go together", answers([first, v064, v065]), "unknown"],
    ["a word that is no bool", answers([first], { [v065]: pad("0x02") }), "unknown"],
    ["a bool with dirty high bytes", answers([first], { [v065]: `0x80${"00".repeat(30)}01` }), "unknown"],
    ["a short answer", answers([first], { [v064]: "0x01" }), "unknown"],
    ["a long answer", answers([first], { [v064]: `${yes}00` }), "unknown"],
    ["a failure for one id alone", answers([first], { [v065]: undefined }), "unknown"],
    ["an answer for one id alone", askedInterfaceIds.map((id) => (id === first ? yes : undefined)), "unknown"],
  ];
  for (const [what, given, id] of cases) {
    it(`is ${id} with ${what}`, () => {
      expect(judgeGeneration(given)).to.equal(generations[id as keyof typeof generations]);
    });
  }

  it("asks for ERC-165's two ids first, then for each id of the table once", () => {
    const ids = Object.values(generations).flatMap(({ interfaceId }) => interfaceId ?? []);
    expect(askedInterfaceIds).to.have.members(["0x01ffc9a7", "0xffffffff", ...ids]);
    expect(askedInterfaceIds.slice(0, 2)).to.deep.equal(["0x01ffc9a7", "0xffffffff"]);
  });

  it("finds releases of the first generation by their views, and later ones by their id alone", () => {
    const app = (hasTcbFlag: boolean, isTwoStep: boolean, isShifted = false) =>
      narrowApp(generations.first, { hasTcbFlag, isTwoStep, isShifted }).releases;
    expect([
      app(false, false, true),
      app(false, false),
      app(true, false),
      app(true, true),
      app(false, true),
    ]).to.deep.equal(["0.4.2 to 0.5.3", "0.5.4 to 0.5.8", "0.5.9 to 0.5.16", "0.6.0", "up to 0.6.0"]);
    const kms = (isTwoStep: boolean) => narrowKms(generations.first, { isTwoStep }).releases;
    expect([kms(false), kms(true)]).to.deep.equal(["up to 0.5.16", "0.6.0"]);
    for (const generation of [generations["0.6.4"], generations["0.6.5"], generations.unknown]) {
      expect(narrowApp(generation, { hasTcbFlag: true, isTwoStep: true, isShifted: true })).to.equal(generation);
      expect(narrowKms(generation, { isTwoStep: true })).to.equal(generation);
    }
    expect(describeGeneration(generations["0.6.5"])).to.equal("0.6.5 or 0.6.6 (key epochs)");
  });

  it("gives the most serious caveat of the contracts, and refuses unless it is accepted", () => {
    const address = `0x${"a1".repeat(20)}` as const;
    const app = { role: "app", address, generation: generations.first } as const;
    const later = { role: "KMS", address, generation: generations["0.6.4"] } as const;
    const odd = { role: "KMS", address, generation: generations.unknown } as const;
    expect([caveatOf([]), caveatOf([app]), caveatOf([app, later]), caveatOf([odd, later])]).to.deep.equal([
      null,
      null,
      epochCaveat,
      epochCaveat,
    ]);
    expect(caveatOf([app, odd])).to.equal("generation not known, these values may not decide");
    requireNoKeyEpochs([app], false);
    requireNoKeyEpochs([app, later, odd], true);
    for (const doubtful of [later, odd])
      expect(() => requireNoKeyEpochs([app, doubtful], false)).to.throw(KeyEpochsError, `KMS ${address}`);
  });
});
