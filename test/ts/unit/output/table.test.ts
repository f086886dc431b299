import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { toJson } from "../../../../src/output/format.ts";
import { createOutput, createProgress, formatTable } from "../../../../src/output/output.ts";

const hash = `0x${"ab".repeat(32)}`;

describe("formatTable", () => {
  it("is as wide as its cells, without lines and colours", () => {
    const table = formatTable({
      head: ["hash", "who"],
      rows: [
        [hash, "me"],
        ["none", ""],
      ],
    });
    expect(table).to.equal([`hash${" ".repeat(64)}who`, `${hash}  me`, "none"].join("\n"));
  });

  it("prints long values below their rows when the terminal is too narrow", () => {
    const rows = [
      [hash, "me", "7"],
      [hash, "", "8"],
    ];
    const head = ["hash", "who", "block"];
    expect(formatTable({ head, rows, width: 74 }).split("\n")).to.deep.equal([
      "who  block",
      "me   7",
      `    hash  ${hash}`,
      "     8",
      `    hash  ${hash}`,
    ]);
    expect(formatTable({ head, rows, width: 78 })).to.match(/^hash +who +block\n/);
  });

  it("prints one block per row when the terminal is too narrow for the short columns", () => {
    const words = "word ".repeat(12).trim();
    const rows = [
      [hash, "me", words],
      [hash, "", "8"],
    ];
    const table = formatTable({ head: ["hash", "who", "why"], rows, width: 50 });
    expect(table.split("\n")).to.deep.equal([
      `hash  ${hash}`,
      "who   me",
      "why   word word word word word word word word word",
      "      word word word",
      "",
      `hash  ${hash}`,
      "why   8",
    ]);
  });

  it("omits the label of a column without a heading", () => {
    const table = formatTable({ head: ["", "hash"], rows: [["keep", hash]], width: 70 });
    expect(table).to.equal(`keep\n    hash  ${hash}`);
  });

  it("uses the width of the terminal that it writes to", () => {
    const shownAt = (columns: number) => {
      const stream = Object.assign(new PassThrough(), { columns });
      createOutput(stream).table({ head: ["hash", "who"], rows: [[hash, "me"]] });
      return String(stream.read()).split("\n")[0];
    };
    expect(shownAt(80)).to.match(/^hash +who$/);
    expect(shownAt(60)).to.equal("who");
    expect(String(shownAt(0)), "a terminal without a width").to.match(/^hash +who$/);
  });

  it("prints an empty table", () => {
    expect(formatTable({ head: ["hash"], rows: [] })).to.equal("hash");
  });
});

describe("createProgress", () => {
  it("prints nothing without a terminal", async () => {
    const stream = new PassThrough();
    const bar = createProgress("Reading", stream);
    bar.update(1, 2);
    bar.stop();
    stream.end();
    expect(await text(stream)).to.equal("");
  });

  it("prints progress on a terminal", async () => {
    const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80, cursorTo() {}, clearLine() {} });
    const bar = createProgress("Reading", stream);
    bar.update(1, 2, "17 events");
    bar.stop();
    stream.end();
    expect(await text(stream))
      .to.include("Reading")
      .and.to.include("50%")
      .and.to.include("17 events");
  });
});

describe("toJson", () => {
  it("keeps every digit, entries of maps and members of sets", () => {
    const value = { wei: 2n ** 70n, map: new Map([["a", 1n]]), set: new Set(["b"]), nothing: undefined };
    expect(toJson(value)).to.equal('{"wei":"1180591620717411303424","map":{"a":"1"},"set":["b"]}');
  });
});
