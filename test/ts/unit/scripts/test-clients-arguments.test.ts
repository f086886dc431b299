import { expect } from "chai";
import { parseClientsArguments } from "../../../../scripts/test-clients/parse-arguments.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { clientNames } from "../../../clients/harness/clients.ts";
import { countCells } from "../../../clients/harness/totals.ts";

describe("the command line of npm run test:clients", () => {
  it("takes every row and client by default", () => {
    const { clients, isWhole, isUpdate, groups } = parseClientsArguments([]);
    expect({ clients, isWhole, isUpdate }).to.deep.equal({ clients: clientNames, isWhole: true, isUpdate: false });
    expect(groups.every(({ operations }) => operations.length > 0)).to.equal(true);
  });

  it("takes the rows that match and the clients that are named", () => {
    const { clients, groups, isWhole } = parseClientsArguments([
      "--grep",
      "^GETcvminfo$",
      "--client",
      "js",
      "--client=cli",
    ]);
    const names = groups.flatMap(({ operations }) => operations.map(({ name }) => name));
    expect({ clients, names, isWhole }).to.deep.equal({
      clients: ["cli", "js"],
      names: ["getCvmInfo"],
      isWhole: false,
    });
  });

  for (const [title, argv] of [
    ["an unknown option", ["--no-such"]],
    ["a stray word", ["deploy"]],
    ["an option without its value", ["--grep"]],
    ["an unknown client", ["--client", "ruby"]],
    ["an invalid pattern", ["--grep", "("]],
    ["a pattern without a row", ["--grep", "no such row"]],
  ] as const) {
    it(`refuses ${title}`, () => {
      expect(() => parseClientsArguments(argv))
        .to.throw(InvalidArgumentError)
        .with.property("exitCode", 2);
    });
  }
});

describe("the totals of the conformance table", () => {
  it("never add request shapes to the official clients", () => {
    const { clients, requestShapes } = countCells([
      { client: "js", outcome: "pass" },
      { client: "python-0.2.0", outcome: "client bug" },
      { client: "go-shapes", outcome: "pass" },
      { client: "go-shapes", outcome: "fail" },
    ]);
    expect(clients).to.deep.equal({ pass: 1, fail: 0, "client bug": 1, "not in this client": 0 });
    expect(requestShapes).to.deep.equal({ pass: 1, fail: 1, "client bug": 0, "not in this client": 0 });
  });
});
