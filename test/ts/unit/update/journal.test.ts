import { spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { JournalCorruptError, JournalLockedError } from "../../../../src/errors/index.ts";
import { openJournal } from "../../../../src/update/journal.ts";
import type { NewJournalEntry } from "../../../../src/update/journal-state.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { newEntries, update, wholeUpdate } from "../../../support/update/entries.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("openJournal", () => {
  const directory = useTemporaryDirectory();
  const path = () => join(directory.path, "updates.jsonl");

  async function write(entries = wholeUpdate): Promise<void> {
    await using journal = await openJournal(path());
    for (const entry of entries) await journal.append(entry);
  }

  it("keeps the appended entries for other processes", async () => {
    await write(wholeUpdate.slice(0, 3));
    await using journal = await openJournal(path());
    expect(journal.state.updates.get(update)?.status).to.equal("patched");
    expect([...journal.state.payments.values()].map(({ status }) => status)).to.deep.equal(["broadcast"]);
    await journal.append(newEntries.mined);
    expect(readFileSync(path(), "utf8").trimEnd().split("\n")).to.have.length(4);
  });

  it("writes one line with a time per entry, readable only by its owner", async () => {
    await write();
    const lines = readFileSync(path(), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ type }) => type)).to.deep.equal(wholeUpdate.map(({ type }) => type));
    for (const line of lines) expect(line).to.include({ v: 1, update });
    expect(statSync(path()).mode & 0o777).to.equal(0o600);
  });

  it("removes the permissions of others from a file", async () => {
    writeFileSync(path(), "", { mode: 0o644 });
    await write([]);
    expect(statSync(path()).mode & 0o777).to.equal(0o600);
  });

  it("drops a line that a crash has cut at each byte, and continues after it", async () => {
    await write(wholeUpdate.slice(0, 2));
    const whole = readFileSync(path());
    const start = whole.indexOf("\n") + 1;
    for (const end of [start + 1, start + 40, whole.length - 1]) {
      writeFileSync(path(), whole);
      truncateSync(path(), end);
      const journal = await openJournal(path());
      expect(journal.state.payments.size, `cut at ${end}`).to.equal(0);
      await journal.append(newEntries.prepared);
      await journal.close();
      await using again = await openJournal(path());
      expect(again.state.payments.size, `cut at ${end}`).to.equal(1);
    }
  });

  it("continues after a first line that was cut at each byte", async () => {
    await write(wholeUpdate.slice(0, 1));
    const whole = readFileSync(path());
    for (const end of [1, 4, 5, 40, whole.length - 1]) {
      writeFileSync(path(), Buffer.concat([whole.subarray(0, end), Buffer.alloc(end === 40 ? 9 : 0)]));
      await using journal = await openJournal(path());
      expect(journal.state.payments.size, `cut at ${end}`).to.equal(0);
      expect(readFileSync(path()), `cut at ${end}`).to.have.length(0);
    }
  });

  it("does not change the content and permissions of another file of one line", async () => {
    for (const text of ['{"name":"shop"}', "secret", "{ }"]) {
      writeFileSync(path(), text);
      chmodSync(path(), 0o644);
      const before = readFileSync(path());
      await catchError(openJournal(path()), JournalCorruptError);
      expect([readFileSync(path()), statSync(path()).mode & 0o777]).to.deep.equal([before, 0o644]);
    }
  });

  it("drops zeros after the last line, as after a power cut", async () => {
    await write(wholeUpdate.slice(0, 2));
    appendFileSync(path(), Buffer.alloc(300));
    await using journal = await openJournal(path());
    expect(journal.state.payments.size).to.equal(1);
    expect(readFileSync(path()).at(-1)).to.equal("\n".charCodeAt(0));
  });

  const damages: Readonly<Record<string, { line: number; edit: (lines: string[]) => void }>> = {
    "text that is not JSON": { line: 2, edit: (lines) => lines.splice(1, 1, "{broken") },
    "an unknown type": { line: 2, edit: (lines) => lines.splice(1, 0, '{"v":1,"type":"paid"}') },
    "a field that is missing": {
      line: 1,
      edit: (lines) => lines.splice(0, 1, (lines[0] ?? "").replace('"appId"', '"app"')),
    },
    "a hash one digit short": { line: 2, edit: (lines) => lines.splice(1, 1, (lines[1] ?? "").replace(/c2"/, 'c"')) },
    "a line taken out": { line: 2, edit: (lines) => lines.splice(1, 1) },
    "a line twice": { line: 3, edit: (lines) => lines.splice(1, 0, lines[1] ?? "") },
    "a version from the future": {
      line: 1,
      edit: (lines) => lines.splice(0, 1, (lines[0] ?? "").replace('"v":1', '"v":2')),
    },
    "an empty line": { line: 2, edit: (lines) => lines.splice(1, 0, "") },
  };
  for (const [name, { line, edit }] of Object.entries(damages)) {
    it(`refuses ${name} and does not change the file`, async () => {
      await write();
      const lines = readFileSync(path(), "utf8").trimEnd().split("\n");
      edit(lines);
      const damaged = `${lines.join("\n")}\n`;
      writeFileSync(path(), damaged);
      const error = await catchError(openJournal(path()), JournalCorruptError);
      expect(error.context).to.include({ path: path(), line });
      expect(readFileSync(path(), "utf8")).to.equal(damaged);
      expect(existsSync(`${path()}.lock`)).to.equal(false);
    });
  }

  it("refuses bytes that are not text", async () => {
    await write(wholeUpdate.slice(0, 1));
    appendFileSync(path(), Buffer.from([0xff, 0xfe, 0x0a]));
    const error = await catchError(openJournal(path()), JournalCorruptError);
    expect(error.context).to.include({ line: 2 });
  });

  it("keeps the lines of two updates that run at once whole and in order", async () => {
    const other: readonly NewJournalEntry[] = [
      { ...newEntries.patched, update: "ffeeddccbbaa9988", cvm: "cvm-two" },
      { ...newEntries.confirming, update: "ffeeddccbbaa9988" },
      { ...newEntries.confirmed, update: "ffeeddccbbaa9988" },
    ];
    await using journal = await openJournal(path());
    await Promise.all([...wholeUpdate, ...other].map((entry) => journal.append(entry)));
    expect([...journal.state.updates.values()].map(({ status }) => status)).to.deep.equal(["completed", "confirmed"]);
    expect(readFileSync(path(), "utf8").trimEnd().split("\n")).to.have.length(wholeUpdate.length + other.length);
  });

  it("can be opened by one owner at a time", async () => {
    const first = await openJournal(path());
    const error = await catchError(openJournal(path()), JournalLockedError);
    expect(error.context).to.include({ path: path(), pid: process.pid });
    await first.close();
    await write([]);
  });

  it("can be opened by exactly one of many at the same time", async () => {
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => openJournal(path())));
    const opened = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(opened).to.have.length(1);
    for (const journal of opened) await journal.close();
    expect(existsSync(`${path()}.lock`)).to.equal(false);
  });

  it("is not locked by a process that has ended", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    const { pid = 0 } = child;
    const lockFile = (since: number) => `${pid}_${since}_${encodeURIComponent(hostname())}_${"0".repeat(16)}`;
    mkdirSync(`${path()}.lock`);
    writeFileSync(join(`${path()}.lock`, lockFile(Date.now())), "");
    const error = await catchError(openJournal(path()), JournalLockedError);
    expect(error.context).to.include({ pid, lockFile: join(`${path()}.lock`, readdirSync(`${path()}.lock`)[0] ?? "") });

    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    await using journal = await openJournal(path());
    expect(journal.state.updates.size).to.equal(0);
    expect(readdirSync(`${path()}.lock`)).to.have.length(1);
  });

  it("is not locked by an earlier process with the same id, as after a restart of a container", async () => {
    const before = Math.floor(Date.now() - process.uptime() * 1000) - 60_000;
    mkdirSync(`${path()}.lock`);
    writeFileSync(
      join(`${path()}.lock`, `${process.pid}_${before}_${encodeURIComponent(hostname())}_${"0".repeat(16)}`),
      "",
    );
    await write([]);
  });

  it("is not taken from a process of another machine", async () => {
    mkdirSync(`${path()}.lock`);
    const lockFile = join(`${path()}.lock`, `4194304_1000_else%20where_${"0".repeat(16)}`);
    writeFileSync(lockFile, "");
    const error = await catchError(openJournal(path()), JournalLockedError);
    expect(error.message).to.include("4194304 on else where, since 1970-01-01T00:00:01.000Z").and.include(path());
    expect(error.nextStep).to.include(lockFile);
    expect(error.context).to.include({ host: "else where", since: "1970-01-01T00:00:01.000Z", lockFile });
  });
});
