import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { showFindings } from "../../../../src/commands/lint.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { exitWith } from "../../../../src/output/exit-with.ts";
import { toJson } from "../../../../src/output/format.ts";
import { createOutput, type Output } from "../../../../src/output/output.ts";

/** Clears the screen, sets the window's title, writes backwards, and is red where a terminal reads 8-bit controls. */
const steering = "a\u001b[2J\u001b]0;title\u0007\u202eb\u009b31mc\r";
const unprintable = /(?!\n)[\p{Cc}\p{Cf}]/u;

async function writtenBy(write: (stream: PassThrough) => unknown): Promise<string> {
  const stream = new PassThrough();
  write(stream);
  stream.end();
  return text(stream);
}

const onPaper = (write: (output: Output) => void) => writtenBy((stream) => write(createOutput(stream)));

describe("foreign text on a terminal", () => {
  const places: readonly [string, (output: Output) => void][] = [
    ["a title", (output) => output.title(steering)],
    ["a step", (output) => output.step(steering, steering)],
    ["a detail", (output) => output.detail(steering, steering)],
    ["a line", (output) => output.line(steering)],
  ];
  for (const [name, write] of places) {
    it(`cannot control it from ${name}`, async () => {
      const written = await onPaper(write);
      expect(written).to.include("a\ufffd[2J").and.not.match(unprintable);
    });
  }

  it("keeps the line breaks of a table", async () => {
    expect(await onPaper((output) => output.line("one\ntwo"))).to.equal("one\ntwo\n");
  });

  it("cannot control it from an error, or start a line that looks like one of this package", async () => {
    const error = new InvalidArgumentError(`No node named ${steering}\n0 hashes removed.`, { nextStep: steering });
    const written = await writtenBy((stream) => exitWith(error, stream));
    expect(written).to.not.match(unprintable);
    expect(written.split("\n")).to.have.length(3);
    expect(await writtenBy((stream) => exitWith(new Error(steering), stream))).to.not.match(unprintable);
  });

  it("stays on one line in a finding", async () => {
    const finding = { rule: "mutable-image", severity: "warning", message: "runs a\nb", advice: "c\nd" } as const;
    expect(await onPaper((output) => showFindings(output, [finding]))).to.match(/^ {2}.+\n {10}.+\n$/);
  });

  it("is escaped in JSON, and unchanged once JSON is parsed", () => {
    const value = { name: `${steering}\u{e0001}` };
    expect(toJson(value)).to.not.match(unprintable);
    expect(JSON.parse(toJson(value))).to.deep.equal(value);
  });
});

describe("a fault of the system", () => {
  it("is printed with its own message, without a stack trace", async () => {
    const error = Object.assign(new Error("EACCES: permission denied, open '.dstack/x'"), {
      code: "EACCES",
      syscall: "open",
    });
    let code: number | undefined;
    const written = await writtenBy((stream) => {
      code = exitWith(error, stream);
    });
    expect([written, code]).to.deep.equal(["EACCES: permission denied, open '.dstack/x'\n", 1]);
  });
});
