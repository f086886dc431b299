import { Writable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect } from "chai";
import { createOutput } from "../../../../src/output/output.ts";

/** The end of the process when every write of an output fails with this code. */
async function failing(code: string) {
  const stream = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(`${code}: write`), { code })),
  });
  const write = process.stderr.write;
  const before = process.exitCode;
  let told = "";
  process.stderr.write = (chunk: unknown) => {
    told += String(chunk);
    return true;
  };
  try {
    const output = createOutput(stream);
    output.line("one");
    output.line("two");
    await nextTurn();
    return { told, exitCode: process.exitCode };
  } finally {
    process.stderr.write = write;
    process.exitCode = before;
  }
}

describe("an output that fails", () => {
  it("is reported once and sets the exit code, and the work goes on", async () => {
    expect(await failing("ENOSPC")).to.deep.equal({
      told: "Not all of the output was written: ENOSPC: write\n",
      exitCode: 1,
    });
  });

  it("is not reported when the reader closed the pipe", async () => {
    expect(await failing("EPIPE")).to.deep.equal({ told: "", exitCode: process.exitCode });
  });
});
