import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { UnusableFileError } from "../../../../src/errors/index.ts";
import { openHistoryStore } from "../../../../src/history/store.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const ledgers = {
  ".dstack/ledger.sqlite": async (path: string) => openLedger(path).close(),
  "cache/dstack/history.sqlite": async (path: string) => openHistoryStore(path).close(),
};

for (const [name, open] of Object.entries(ledgers))
  describe(`${name} of a repository`, () => {
    const directory = useTemporaryDirectory();
    const root = () => join(directory.path, "project");
    const at = (path: string) => join(root(), path);
    const git = (args: readonly string[], cwd = root()) =>
      execFileSync(
        "git",
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always", ...args],
        {
          cwd,
          stdio: "ignore",
        },
      );
    const folder = name.slice(0, name.lastIndexOf("/"));

    async function expectRefused(path = at(name)) {
      const error = await rejection(open(path));
      if (!(error instanceof UnusableFileError)) throw error;
      expect(error.message).to.include(path).and.include("another author of the repository may have written it");
    }

    beforeEach(async () => {
      mkdirSync(at(folder), { recursive: true, mode: 0o700 });
      await open(at(name));
    });

    /** Among other files, so that its name is neither the first nor the last one of the index. */
    function track(...args: string[]) {
      git(["init", "--quiet", ...args]);
      for (const each of ["a", `${name}-other`, "z"]) writeFileSync(at(each), "");
      git(["add", "--force", "a", `${name}-other`, "z"]);
      const untracked = open(at(name));
      return untracked.then(() => git(["add", "--force", name]));
    }

    it("is known without git", async () => {
      await track();
      const { PATH } = process.env;
      try {
        process.env.PATH = directory.path;
        await expectRefused();
      } finally {
        process.env.PATH = PATH;
      }
    });

    for (const [what, config] of [
      ["bare", "[core]\n\tbare = true\n"],
      ["whose files are elsewhere", "[core]\n\trepositoryformatversion = 0\n\tworktree = /\n"],
      ["of an unknown format", "[core]\n\trepositoryformatversion = 99\n"],
    ])
      it(`is known where its folder looks like a repository itself, ${what}`, async () => {
        await track();
        for (const [file, text] of [
          ["HEAD", "ref: refs/heads/main\n"],
          ["config", config ?? ""],
          ["objects/.keep", ""],
          ["refs/heads/.keep", ""],
        ] as const) {
          mkdirSync(join(at(folder), file, ".."), { recursive: true });
          writeFileSync(join(at(folder), file), text);
        }
        git(["add", "--force", "."]);
        await expectRefused();
      });

    it("is known where git itself fails", async () => {
      await track();
      appendFileSync(at(".git/config"), "[broken");
      await expectRefused();
    });

    for (const version of ["2", "3", "4"])
      it(`is known by an index of version ${version}`, async () => {
        await track();
        if (version === "3") git(["add", "--intent-to-add", "--force", `${name}-other`]);
        git(["update-index", "--index-version", version]);
        await expectRefused();
        git(["rm", "--quiet", "--cached", name]);
        await open(at(name));
      });

    it("is known by a split index, also of a worktree", async () => {
      await track();
      git(["update-index", "--split-index"]);
      await expectRefused();
      git(["commit", "--quiet", "--message", "all"]);
      const other = join(directory.path, "other");
      git(["worktree", "add", "--quiet", "--detach", other]);
      git(["update-index", "--split-index"], other);
      await expectRefused(join(other, name));
    });

    it("is known by a sparse index", async () => {
      await track();
      git(["commit", "--quiet", "--message", "all"]);
      const content = readFileSync(at(name));
      git(["sparse-checkout", "set", "--cone", "--sparse-index", "elsewhere"]);
      mkdirSync(at(folder), { recursive: true, mode: 0o700 });
      writeFileSync(at(name), content, { mode: 0o600 });
      await expectRefused();
    });

    it("is known where objects have SHA-256 names", async () => {
      await track("--object-format=sha256");
      await expectRefused();
    });

    it("is known in a submodule, be it the ledger's own folder", async () => {
      await track();
      git(["commit", "--quiet", "--message", "all"]);
      const outer = join(directory.path, "outer");
      mkdirSync(outer);
      git(["init", "--quiet"], outer);
      git(["submodule", "add", "--quiet", root(), "inner"], outer);
      await expectRefused(join(outer, "inner", name));
      const inner = join(directory.path, "folder");
      renameSync(at(folder), inner);
      git(["init", "--quiet"], inner);
      git(["add", "--force", "."], inner);
      git(["commit", "--quiet", "--message", "all"], inner);
      git(["submodule", "add", "--quiet", inner, `deep/${folder}`], outer);
      await expectRefused(join(outer, "deep", name));
    });

    it("is known by another spelling", async () => {
      await track();
      const shouted = name.toUpperCase();
      git(["rm", "--quiet", "--cached", name]);
      await open(at(name));
      const id = execFileSync("git", ["hash-object", "-w", at("a")], { cwd: root(), encoding: "utf8" }).trim();
      git(["update-index", "--add", "--cacheinfo", `100644,${id},${shouted}`]);
      await expectRefused();
    });

    it("is refused where the index cannot be read, or is not there", async () => {
      await track();
      git(["rm", "--quiet", "--cached", name]);
      const index = readFileSync(at(".git/index"));
      for (const bytes of [
        index.subarray(0, -30),
        Buffer.concat([index, index]),
        Buffer.from("DIRC"),
        Buffer.alloc(0),
      ]) {
        writeFileSync(at(".git/index"), bytes);
        await expectRefused();
      }
      cpSync(at(".git"), join(directory.path, "moved"), { recursive: true });
      rmSync(at(".git"), { recursive: true });
      await open(at(name));
      writeFileSync(at(".git"), "gitdir: ../gone\n");
      await expectRefused();
      expect(existsSync(at(name))).to.equal(true);
    });
  });
