import { expect } from "chai";
import { parseUpdateArguments } from "../../../../src/commands/update-arguments.ts";
import { isDstackError } from "../../../../src/errors/index.ts";
import { rejection } from "../../../support/rejection.ts";

const process = { TOKEN: "from the process", EMPTY: "", LIST: "a" };
const parse = async (env: string) => (await parseUpdateArguments({ cvm: "a", env }, process)).environment;

describe("dstack update -e", () => {
  const accepted: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
    ["TOKEN", [["TOKEN", "from the process"]]],
    ["TOKEN, EMPTY", [["TOKEN", "from the process"], ["EMPTY", ""]]], // biome-ignore format: one row per case
    ["TOKEN=given", [["TOKEN", "given"]]],
    ["OTHER=given", [["OTHER", "given"]]],
    ["A=1,B=2", [["A", "1"], ["B", "2"]]], // biome-ignore format: one row per case
    ["EMPTY,A=1", [["EMPTY", ""], ["A", "1"]]], // biome-ignore format: one row per case
    ["A=", [["A", ""]]],
    ["A=x=y==", [["A", "x=y=="]]],
    ["A=#$ 'quoted' \\n", [["A", "#$ 'quoted' \\n"]]],
    ["A=two\nlines", [["A", "two\nlines"]]],
    ["A= spaces ", [["A", " spaces "]]],
  ];
  for (const [list, variables] of accepted)
    it(`accepts ${JSON.stringify(list)}`, async () => {
      expect(await parse(list)).to.deep.equal(variables.map(([key, value]) => ({ key, value })));
    });

  const refused: readonly (readonly [string, RegExp])[] = [
    ["A=s3cr3t,LIST", /has a comma after a value/],
    ["A=s3cr3t,more s3cr3t", /has a comma after a value/],
    ["A=s3cr3t,B=1,LIST", /has a comma after a value/],
    ["A=s3cr3t,", /has a comma after a value/],
    ["=s3cr3t", /neither NAME nor NAME=VALUE/],
    ["1A=s3cr3t", /neither NAME nor NAME=VALUE/],
    ["s3cr3t-x", /neither NAME nor NAME=VALUE/],
    ["A B=s3cr3t", /neither NAME nor NAME=VALUE/],
    ["A=s3cr3t,A=1", /has A twice/],
    ["TOKEN,TOKEN=s3cr3t", /has TOKEN twice/],
    ["MISSING", /variable MISSING is not set/],
  ];
  for (const [list, problem] of refused)
    it(`refuses ${JSON.stringify(list)}, and quotes no value`, async () => {
      const error = await rejection(parse(list));
      if (!isDstackError(error)) throw error;
      expect(error.message).to.match(problem);
      expect(error.exitCode).to.equal(2);
      expect(`${error.stack} ${JSON.stringify(error)}`).not.to.include("s3cr3t");
    });
});
