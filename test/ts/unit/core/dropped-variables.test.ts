import { expect } from "chai";
import { findDroppedVariables, findUnsetVariables } from "../../../../src/core/dropped-variables.ts";

const braced = (name: string) => `$\{${name}}`;

describe("findDroppedVariables", () => {
  const used = (dockerCompose: string, before: readonly string[] = ["A", "B", "C", "D", "E"]) =>
    findDroppedVariables({ before, after: [], dockerCompose }).flatMap(({ name, isUsed }) => (isUsed ? [name] : []));

  it("names each variable that was set and is missing now once, the used ones first", () => {
    const dockerCompose = "services:\n  web:\n    image: nginx\n    command: echo $B\n";
    const found = findDroppedVariables({ before: ["A", "B", "C", "A"], after: ["C", "D"], dockerCompose });
    expect(found).to.deep.equal([
      { name: "B", isUsed: true },
      { name: "A", isUsed: false },
    ]);
  });

  for (const [what, value] of [
    ["a bare name", "x$A"],
    ["a braced name", braced("A")],
    ["a default", braced("A:-nothing")],
    ["a name within another's default", braced(`Z:-${braced("A")}`)],
  ] as const)
    it(`counts ${what} as a use`, () => {
      expect(used(`services:\n  web:\n    image: "${value}"\n`)).to.deep.equal(["A"]);
    });

  it("counts a name that is passed on to a service as a use, in both forms", () => {
    const list = "services:\n  web:\n    environment:\n      - A\n      - B=1\n      - C=$D\n";
    expect(used(list)).to.deep.equal(["A", "D"]);
    const map = `services:\n  web:\n    environment:\n      A:\n      B: 1\n      C: ${braced("D")}\n`;
    expect(used(map)).to.deep.equal(["A", "D"]);
  });

  it("counts the environment of a secret, of a config, of a job, of a step and of a build as a use", () => {
    const text = `services:
  web:
    build: { context: ., args: [A] }
    post_start: [{ command: "true", environment: [B] }]
jobs:
  nightly: { image: nginx, environment: [C] }
secrets:
  token: { environment: D }
configs:
  page: { environment: E }
`;
    expect(used(text)).to.deep.equal(["A", "B", "C", "D", "E"]);
  });

  it("counts neither an escaped dollar sign nor a mention as a use", () => {
    const text = `services:\n  web:\n    image: "A $$B $$${braced("C")}"\n    labels: {D: E}\n`;
    expect(used(text)).to.deep.equal(["C"]);
  });

  it("follows each anchor once", () => {
    const copies = Array.from({ length: 50 }, (_, index) => `  s${index}: *w`);
    expect(used(["services:", "  web: &w {image: $A}", ...copies].join("\n"))).to.deep.equal(["A"]);
  });

  it("finds no use when the file cannot be parsed, and still names the variables", () => {
    for (const dockerCompose of ["services: [", "", null, undefined]) {
      const found = findDroppedVariables({ before: ["A"], after: [], dockerCompose });
      expect(found).to.deep.equal([{ name: "A", isUsed: false }]);
    }
  });
});

describe("findUnsetVariables", () => {
  it("names what the file needs and nothing sets, but neither dropped variables nor those with a default", () => {
    const dockerCompose = `services:\n  web:\n    environment: [A, B, C, "X=${braced("D:-1")}", "Y=${braced("E")}"]\n`;
    const allowed = ["A", "B", "C", "D", "E", "F"];
    expect(findUnsetVariables({ allowed, before: ["A"], after: ["B"], dockerCompose })).to.deep.equal(["C", "E"]);
    expect(findUnsetVariables({ allowed, before: [], after: allowed, dockerCompose })).to.deep.equal([]);
    expect(findUnsetVariables({ allowed, before: [], after: [], dockerCompose: "a: [" })).to.deep.equal([]);
  });
});
