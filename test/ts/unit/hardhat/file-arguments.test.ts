import { execFileSync } from "node:child_process";
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { readTextFile } from "../../../../src/commands/arguments.ts";
import { parseUpdateArguments } from "../../../../src/commands/update-arguments.ts";
import { isDstackError } from "../../../../src/errors/index.ts";
import { makeDirectory, makeOwnDirectory } from "../../../../src/files/own-file.ts";
import { loadPlan } from "../../../../src/plans/plan-file.ts";
import { readQueued } from "../../../../src/prune/allowlist-use.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const readers: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  "--compose": (path) => parseUpdateArguments({ cvm: "a", compose: path }, {}),
  "--env-file": (path) => parseUpdateArguments({ cvm: "a", envFile: path }, {}),
  "--pre-launch-script": (path) => parseUpdateArguments({ cvm: "a", preLaunchScript: path }, {}),
  "the file of dstack hash doctor": readTextFile,
  "--plan": loadPlan,
  "--queued": readQueued,
};

for (const [name, read] of Object.entries(readers))
  describe(`${name} that names`, () => {
    const directory = useTemporaryDirectory();
    const path = () => join(directory.path, "argument");

    async function expectRefused(problem: RegExp) {
      const error = await rejection(read(path()));
      if (!isDstackError(error)) throw error;
      expect(error.message).to.include(path()).and.match(problem);
      expect(error.nextStep).to.be.a("string");
      expect(error.exitCode).to.be.oneOf([2, 7]);
    }

    it("a link to an endless device is refused at once", async () => {
      symlinkSync("/dev/zero", path());
      await expectRefused(/device, not a regular file/);
    });

    it("a pipe without a writer is refused at once", async () => {
      execFileSync("mkfifo", [path()]);
      await expectRefused(/pipe, not a regular file/);
    });

    it("a folder is refused", async () => {
      mkdirSync(path());
      await expectRefused(/folder/);
    });

    it("a file above the size limit is refused", async () => {
      const file = openSync(path(), "w");
      ftruncateSync(file, 3 * 1024 ** 3);
      closeSync(file);
      await expectRefused(/more than 16 MiB/);
    });

    it("a link to a regular file is followed, as secret stores mount files", async () => {
      const target = join(directory.path, "target");
      writeFileSync(target, `A=${"1".repeat(64)}\n`);
      symlinkSync(target, path());
      const outcome = await read(path()).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome.message).to.not.match(/cannot be (?:used|read)/);
    });
  });

describe("a folder of this package", () => {
  const directory = useTemporaryDirectory();

  it("is refused when it is a link, which a repository could contain", async () => {
    for (const target of ["elsewhere", "nowhere"]) {
      if (target === "elsewhere") mkdirSync(join(directory.path, target));
      symlinkSync(join(directory.path, target), join(directory.path, `${target}-link`));
      const error = await rejection(makeOwnDirectory(join(directory.path, `${target}-link`)));
      expect(isDstackError(error) && error.name).to.equal("UnusableFileError");
    }
    expect(existsSync(join(directory.path, "nowhere"))).to.equal(false);
  });

  it("is reported at once when the system lets no user make it", async () => {
    for (const path of ["/proc/a/b/c", "/dev/null/a"]) {
      const error = await rejection(makeDirectory(path));
      expect(isDstackError(error) && error.name, path).to.equal("UnusableFileError");
    }
  });
});
