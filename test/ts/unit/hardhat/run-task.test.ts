import { readFile } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { createAsk, createConfirm, exitCodeOf, runTask, type TaskOutcome } from "../../../../src/commands/run.ts";
import { InvalidArgumentError, KeyEpochsError, RpcUnavailableError } from "../../../../src/errors/index.ts";
import { rejection } from "../../../support/rejection.ts";

/** What a task writes and answers, with the process left as it was. */
async function observe(isJson: boolean, work: () => Promise<TaskOutcome>) {
  const written = { stdout: "", stderr: "" };
  const write = { stdout: process.stdout.write, stderr: process.stderr.write };
  const exitCodeBefore = process.exitCode;
  for (const name of ["stdout", "stderr"] as const) {
    process[name].write = (chunk: unknown) => {
      written[name] += String(chunk);
      return true;
    };
  }
  try {
    const exitCode = await runTask({ json: isJson, task: "hash add" }, work);
    return { ...written, exitCode, ofProcess: process.exitCode };
  } finally {
    process.stdout.write = write.stdout;
    process.stderr.write = write.stderr;
    process.exitCode = exitCodeBefore;
  }
}

/** Paragraphs as one line each. Continuation lines are indented. */
const unwrap = (text: string) => text.replace(/\n +/g, " ");

describe("runTask", () => {
  const outcome: TaskOutcome = { result: { gas: 5n }, show: (output) => output.line("five gas") };
  const failing = (error: unknown) => () => Promise.reject(error);

  it("shows the result to people, or prints it as one object", async () => {
    expect(await observe(false, async () => outcome)).to.include({ stdout: "five gas\n", stderr: "", exitCode: 0 });
    expect(await observe(true, async () => outcome)).to.include({
      stdout: '{"schemaVersion":1,"task":"hash add","gas":"5"}\n',
      stderr: "",
      exitCode: 0,
    });
  });

  it("keeps the envelope's version and task if the result has fields of these names", async () => {
    const result = { task: "device add", schemaVersion: 7, digest: "0x12" };
    const { stdout } = await observe(true, async () => ({ result }));
    expect(JSON.parse(stdout)).to.deep.equal({ schemaVersion: 1, task: "hash add", digest: "0x12" });
  });

  it("sets the exit code of a negative answer", async () => {
    expect(await observe(false, async () => ({ ...outcome, exitCode: 6 }))).to.include({ exitCode: 6, ofProcess: 6 });
  });

  it("prints an error of this package in two paragraphs, and with --json as one object", async () => {
    const work = failing(new RpcUnavailableError("reading the owner"));
    const forPeople = await observe(false, work);
    expect(forPeople).to.include({ stdout: "", exitCode: 3, ofProcess: 3 });
    expect(unwrap(forPeople.stderr)).to.match(/^DSTK-2001 .+\n.+\n$/);
    const { stdout, stderr } = await observe(true, work);
    expect(JSON.parse(stdout)).to.have.nested.include({ "error.code": "DSTK-2001", "error.retryable": true });
    expect([stdout.split("\n").length, stderr]).to.deep.equal([2, forPeople.stderr]);
  });

  it("gives the next step in the terms of the commands, as text and in JSON", async () => {
    const error = new KeyEpochsError([]);
    expect(error.nextStep).to.include("`acceptKeyEpochs`");
    const { stdout, stderr } = await observe(true, failing(error));
    expect(unwrap(stderr)).to.include("pass --accept key-epochs.").and.to.not.include("`");
    expect(JSON.parse(stdout).error.nextStep).to.equal(unwrap(stderr).trimEnd().split("\n").at(-1));
  });

  it("exits with 1 for an unexpected error, and still prints one object", async () => {
    const { stdout, exitCode } = await observe(true, failing(new TypeError("no")));
    const { schemaVersion, task, error } = JSON.parse(stdout);
    expect([schemaVersion, task, exitCode]).to.deep.equal([1, "hash add", 1]);
    expect(error).to.include({ code: "UNEXPECTED", name: "TypeError", message: "no" });
    expect(error.nextStep).to.match(/^Report this fault/);
  });

  it("gives a code and a next step for an error of any kind", async () => {
    const kinds = {
      "DSTK-2001": new RpcUnavailableError("reading the owner"),
      ABORTED: new DOMException("Nothing was sent.", "AbortError"),
      ENOENT: await rejection(readFile("/no/such/file")),
      UNEXPECTED: "a text",
    };
    for (const [code, error] of Object.entries(kinds)) {
      const { stdout } = await observe(true, failing(error));
      const json = JSON.parse(stdout);
      expect(json.error, code).to.include.keys("name", "message", "nextStep").and.to.have.property("code", code);
      expect(json.error.nextStep, code).to.match(/^[A-Z].+\.$/);
    }
  });

  it("exits with 130 when the user declines", async () => {
    const declined = new DOMException("Nothing was sent.", "AbortError");
    expect(await observe(false, failing(declined))).to.include({ exitCode: 130, stderr: "Nothing was sent.\n" });
  });

  it("exits with 130 when the process gets a signal, and passes it to the work", async () => {
    const stopped = await observe(
      false,
      () =>
        new Promise((_, reject) =>
          setImmediate(() => {
            process.emit("SIGINT", "SIGINT");
            reject(new DOMException("Stopped by SIGINT.", "AbortError"));
          }),
        ),
    );
    expect(stopped).to.include({ exitCode: 130, stderr: "Stopped by SIGINT.\n" });
  });

  it("exits without work that does not end after the signal", async () => {
    let end = (_: number) => {};
    const hanging = new Promise<number>((resolve) => {
      end = resolve;
    });
    const left = new Promise<number>((leave) => {
      setImmediate(() => process.emit("SIGTERM", "SIGTERM"));
      void exitCodeOf(() => hanging, { graceMs: 20, leave });
    });
    expect(await left).to.equal(130);
    end(0);
  });

  it("waits for work that ends in time, also when the signal is repeated", async () => {
    let hasLeft = false;
    const code = await exitCodeOf(
      async () => {
        for (let count = 0; count < 2; count += 1) process.emit("SIGTERM", "SIGTERM");
        return 0;
      },
      { graceMs: 20, leave: () => (hasLeft = true) },
    );
    process.emit("SIGTERM", "SIGTERM");
    await sleep(60);
    expect([code, hasLeft]).to.deep.equal([0, false]);
  });

  afterEach(() => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      for (const listener of process.listeners(signal)) if (listener.name === "stop") process.off(signal, listener);
  });
});

describe("the question before sending", () => {
  const ask = async (typed: string, given: { isAgreed?: boolean; isJson?: boolean; isTTY?: boolean } = {}) => {
    const { isAgreed = false, isJson = false, isTTY = true } = given;
    const stdin = Object.assign(new PassThrough(), { isTTY });
    const stderr = new PassThrough();
    stdin.end(`${typed}\n`);
    const confirm = createConfirm({ isAgreed, isJson, stdin, stderr, signal: new AbortController().signal });
    const error = await confirm("Send it?").then(
      () => undefined,
      (reason: unknown) => reason,
    );
    stderr.end();
    return { error, asked: await text(stderr) };
  };

  it("accepts a typed yes, and nothing else", async () => {
    for (const typed of ["y", "Y", "yes", " yes "]) expect((await ask(typed)).error, typed).to.equal(undefined);
    for (const typed of ["", "n", "yep", "ja", "yes please"])
      expect((await ask(typed)).error, typed).to.have.property("name", "AbortError");
    expect((await ask("y")).asked).to.include("Send it? [y/N]");
  });

  it("is not asked with --yes", async () => {
    expect(await ask("", { isAgreed: true, isTTY: false, isJson: true })).to.deep.equal({
      error: undefined,
      asked: "",
    });
  });

  it("cannot be asked without a terminal, or with --json", async () => {
    for (const given of [{ isTTY: false }, { isJson: true }]) {
      const { error, asked } = await ask("y", given);
      expect(error).to.be.instanceOf(InvalidArgumentError);
      expect(asked).to.equal("");
    }
  });

  it("ends with nothing sent when the user closes the input", async () => {
    const { error } = await ask("\u0004".repeat(2));
    expect(error).to.include({ name: "AbortError", message: "Nothing was sent." });
  });

  it("ends when the process gets a signal", async () => {
    const stop = new AbortController();
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const confirm = createConfirm({
      isAgreed: false,
      isJson: false,
      stdin,
      stderr: new PassThrough(),
      signal: stop.signal,
    });
    const asked = rejection(confirm("Send it?"));
    stop.abort(new DOMException("Stopped by SIGINT.", "AbortError"));
    expect(await asked).to.have.property("name", "AbortError");
  });
});

describe("a question to which no is an answer", () => {
  const terminal = (typed: string) => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    stdin.end(typed);
    const signal = new AbortController().signal;
    return { isAgreed: false, isJson: false, stdin, stderr: new PassThrough(), signal };
  };

  it("is yes for a typed yes, and no for every other text", async () => {
    expect(await createAsk(terminal("yes\n"))?.("Delegate?")).to.equal(true);
    for (const typed of ["\n", "n\n", "maybe\n"])
      expect(await createAsk(terminal(typed))?.("Delegate?"), typed).to.equal(false);
  });

  it("ends the task if the user stops it there", async () => {
    const stopped = { ...terminal(""), signal: AbortSignal.abort() };
    expect(await rejection(createAsk(stopped)?.("Delegate?") ?? Promise.resolve())).to.have.property(
      "name",
      "AbortError",
    );
  });

  it("is not asked with --yes, with --json and without a terminal", () => {
    expect(createAsk({ ...terminal(""), isAgreed: true })).to.equal(undefined);
    expect(createAsk({ ...terminal(""), isJson: true })).to.equal(undefined);
    expect(createAsk({ ...terminal(""), stdin: new PassThrough() })).to.equal(undefined);
  });
});
