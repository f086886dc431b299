import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { UnusableFileError } from "../../../../src/errors/index.ts";
import { writeWholeFile } from "../../../../src/files/own-file.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("writeWholeFile", () => {
  const directory = useTemporaryDirectory();

  it("writes a new file or over an old one, also behind a link, and leaves no other file", async () => {
    const [file, link] = [join(directory.path, "plan.json"), join(directory.path, "link.json")];
    await writeWholeFile(file, "one");
    symlinkSync(file, link);
    await writeWholeFile(link, "two");
    expect(readFileSync(file, "utf8")).to.equal("two");
    expect(readdirSync(directory.path)).to.have.members(["plan.json", "link.json"]);
  });

  it("writes to a named device or pipe, and not through a link to one", async () => {
    await writeWholeFile("/dev/null", "text");
    const link = join(directory.path, "plan.json");
    symlinkSync("/dev/null", link);
    expect(await rejection(writeWholeFile(link, "text"))).to.be.instanceOf(UnusableFileError);
  });

  it("leaves no temporary file when the file cannot be written", async () => {
    const place = join(directory.path, "place");
    mkdirSync(place);
    writeFileSync(join(place, "kept"), "");
    const missing = join(directory.path, "none", "x");
    for (const [path, problem] of [
      [place, "it is a folder"],
      [missing, "there is no such file or folder"],
      ["/dev/full", "the disk is full"],
    ] as const) {
      const error = await rejection(writeWholeFile(path, "text"));
      expect(error).to.be.instanceOf(UnusableFileError);
      expect(error).to.have.deep.property("context", { path, problem });
    }
    expect([readdirSync(directory.path), readdirSync(place)]).to.deep.equal([["place"], ["kept"]]);
  });
});
