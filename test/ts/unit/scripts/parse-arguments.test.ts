import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { parseUpdateArguments } from "../../../../scripts/update/parse-arguments.ts";
import { InvalidArgumentError, InvalidEnvironmentError, InvalidHexError } from "../../../../src/errors/index.ts";
import { rejection } from "../../../support/rejection.ts";

describe("the command line of npm run update", () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "dstack-arguments-"));
    await writeFile(join(directory, "docker-compose.yml"), "services: {}\n");
    await writeFile(join(directory, ".env"), "B=2\nA='one'\n");
    await writeFile(join(directory, "broken.env"), "A=1\nA=2\n");
  });
  after(() => rm(directory, { recursive: true, force: true }));

  it("reads the files it names and leaves out what is not named", async () => {
    const path = (name: string) => join(directory, name);
    const args = await parseUpdateArguments([
      "--cvm",
      "my-app",
      "--compose",
      path("docker-compose.yml"),
      "--env-file",
      path(".env"),
    ]);

    expect(args).to.deep.equal({
      request: {
        cvm: "my-app",
        dockerCompose: "services: {}\n",
        preLaunchScript: undefined,
        environment: [
          { key: "B", value: "2" },
          { key: "A", value: "one" },
        ],
        acceptHashMismatch: undefined,
        abandonTransaction: undefined,
      },
      network: "base",
      journal: ".dstack/journal.jsonl",
      json: false,
    });
  });

  for (const [title, argv, error] of [
    ["no CVM", [], InvalidArgumentError],
    ["an unknown option", ["--cvm", "my-app", "--no-such"], InvalidArgumentError],
    ["a stray word", ["my-app"], InvalidArgumentError],
    ["a file that is not there", ["--cvm", "my-app", "--compose", "missing.yml"], InvalidArgumentError],
    ["a short hash", ["--cvm", "my-app", "--accept-hash-mismatch", "0x12"], InvalidHexError],
  ] as const) {
    it(`refuses ${title}`, async () => {
      expect(await rejection(parseUpdateArguments(argv))).to.be.instanceOf(error);
    });
  }

  it("refuses a malformed environment file", async () => {
    const argv = ["--cvm", "my-app", "--env-file", join(directory, "broken.env")];
    expect(await rejection(parseUpdateArguments(argv))).to.be.instanceOf(InvalidEnvironmentError);
  });
});
