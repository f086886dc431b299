import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { UnusableFileError } from "../../../../src/errors/index.ts";
import { makeOwnDirectory } from "../../../../src/files/own-file.ts";
import { openHistoryStore } from "../../../../src/history/store.ts";
import { Database } from "../../../../src/mock-cloud/store/database.ts";
import { openWorldState } from "../../../../src/world/state.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const describeChain = async () => ({ kind: "local", genesis: "2026-11-30T00:00:00.000Z", id: 8453 }) as const;

/** Everything that keeps a file between two runs, opened and closed again. `ledger`: what is on record is sent. */
const keepers = {
  "a ledger": { ledger: true, use: async (path: string) => openLedger(path).close() },
  "a history store": { ledger: true, use: async (path: string) => openHistoryStore(path).close() },
  "a cloud's database": { ledger: false, use: async (path: string) => new Database(path).close() },
  "a world's file": {
    ledger: false,
    use: async (path: string) =>
      (await openWorldState({ stateFile: path.replace(/\.world$/, ""), describeChain })).close(),
  },
};

for (const [name, { ledger, use }] of Object.entries(keepers))
  describe(`the file of ${name}`, () => {
    const directory = useTemporaryDirectory();
    const path = () => join(directory.path, "kept.world");

    async function expectUnusable(problem: RegExp, at = path()) {
      const error = await rejection(use(at));
      if (!(error instanceof UnusableFileError)) throw error;
      expect(error.message).to.include(directory.path).and.match(problem);
      expect(error.nextStep).to.be.a("string");
    }

    it("is this user's alone, also where an earlier version left it to others", async () => {
      await use(path());
      expect(statSync(path()).mode & 0o777).to.equal(0o600);
      chmodSync(path(), 0o644);
      await use(path());
      expect(statSync(path()).mode & 0o777).to.equal(0o600);
    });

    it("is not made through a link that leads nowhere", async () => {
      const target = join(directory.path, "target");
      symlinkSync(target, path());
      await expectUnusable(/symbolic link/);
      expect(existsSync(target)).to.equal(false);
    });

    it("is not read or written through a link", async () => {
      const target = join(directory.path, "target");
      writeFileSync(target, "");
      chmodSync(target, 0o644);
      symlinkSync(target, path());
      await expectUnusable(/symbolic link/);
      expect([readFileSync(target, "utf8"), statSync(target).mode & 0o777]).to.deep.equal(["", 0o644]);
    });

    it("is no device, pipe or folder", async () => {
      symlinkSync("/dev/zero", path());
      await expectUnusable(/symbolic link/);
      const pipe = join(directory.path, "pipe.world");
      execFileSync("mkfifo", [pipe]);
      await expectUnusable(/pipe/, pipe);
      const folder = join(directory.path, "folder.world");
      mkdirSync(folder);
      await expectUnusable(/folder/, folder);
    });

    it("cannot be made where the system allows no new file", () => expectUnusableBelowProc(use));

    it("is not taken where others may write to it", async () => {
      for (const mode of [0o666, 0o620, 0o602]) {
        writeFileSync(path(), "");
        chmodSync(path(), mode);
        await expectUnusable(/other users may write/);
      }
    });

    it("is not taken from another user", async () => {
      const { uid } = statSync(directory.path);
      writeFileSync(path(), "", { mode: 0o600 });
      const { geteuid } = process;
      try {
        process.geteuid = () => uid + 1; // only root can give a file away
        await expectUnusable(new RegExp(`another user \\(uid ${uid}\\)`));
      } finally {
        process.geteuid = geteuid;
      }
    });

    if (ledger)
      it("is not taken from a repository, also where git is not installed", async () => {
        await use(path());
        const git = (...args: string[]) => execFileSync("git", args, { cwd: directory.path, stdio: "ignore" });
        git("init", "--quiet");
        await use(path());
        git("add", "--force", "kept.world");
        await expectUnusable(/git tracks it/);
        const { PATH } = process.env;
        try {
          process.env.PATH = directory.path;
          await expectUnusable(/git tracks it/);
        } finally {
          process.env.PATH = PATH;
        }
        git("rm", "--quiet", "--force", "--cached", "kept.world");
        await use(path());
      });
  });

async function expectUnusableBelowProc(use: (path: string) => Promise<void>): Promise<void> {
  const error = await rejection(use("/proc/kept.world"));
  expect(error).to.be.instanceOf(UnusableFileError);
}

describe("what SQLite keeps beside a database", () => {
  const directory = useTemporaryDirectory();

  for (const [name, open] of [
    ["a history store", openHistoryStore],
    ["a cloud's database", (path: string) => new Database(path)],
  ] as const)
    it(`is this user's alone too: ${name}`, () => {
      const path = join(directory.path, "kept.sqlite");
      const files = [path, `${path}-wal`, `${path}-shm`];
      const modes = () => files.map((file) => statSync(file).mode & 0o777);
      const first = open(path);
      try {
        expect(modes()).to.deep.equal([0o600, 0o600, 0o600]);
        for (const file of files) chmodSync(file, 0o644); // as an earlier version, killed, left them
        open(path).close();
        expect(modes()).to.deep.equal([0o600, 0o600, 0o600]);
      } finally {
        first.close();
      }
    });
});

describe("a folder for this package's files alone", () => {
  const directory = useTemporaryDirectory();
  const path = () => join(directory.path, ".dstack");

  it("loses the rights of others", async () => {
    mkdirSync(path());
    chmodSync(path(), 0o777);
    await makeOwnDirectory(path());
    expect(statSync(path()).mode & 0o777).to.equal(0o700);
  });

  it("is not taken from another user, who could remove a ledger or put an old one back", async () => {
    mkdirSync(path(), { mode: 0o700 });
    const { uid } = statSync(path());
    const { geteuid } = process;
    try {
      process.geteuid = () => uid + 1; // only root can give a folder away
      const error = await rejection(makeOwnDirectory(path()));
      expect(error).to.be.instanceOf(UnusableFileError);
      expect(String(error)).to.include(`another user (uid ${uid}) owns it`);
    } finally {
      process.geteuid = geteuid;
    }
  });
});
