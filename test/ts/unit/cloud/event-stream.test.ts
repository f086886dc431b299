import { expect } from "chai";
import fc from "fast-check";
import { EventParser, type ServerSentEvent } from "../../../../src/cloud/event-stream.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Parses the bytes in pieces that end at these offsets. */
function parse(bytes: Uint8Array, ends: readonly number[] = []): ServerSentEvent[] {
  const parser = new EventParser();
  const cuts = [0, ...ends.map((end) => end % (bytes.length + 1)).sort((one, other) => one - other), bytes.length];
  return cuts.slice(1).flatMap((end, index) => parser.push(bytes.subarray(cuts[index], end)));
}

describe("EventParser", () => {
  const text = [
    ": a comment\n\n",
    'event: state\r\ndata: {"status":"läuft"}\r\n\r\n',
    "data:first\ndata: second\n\n",
    "event: empty\n\n",
    "id: 7\rretry: 10\rdata\r\r",
    "event: cut\ndata: never ended",
  ].join("");
  const events = [
    { event: "state", data: '{"status":"läuft"}' },
    { event: "message", data: "first\nsecond" },
    { event: "message", data: "" },
  ];

  it("reads events with every kind of line break, and skips those without data", () => {
    expect(parse(encode(text))).to.deep.equal(events);
  });

  it("reads the same events when a chunk ends inside a character or a line break", () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), (ends) => {
        expect(parse(encode(text), ends)).to.deep.equal(events);
      }),
    );
  });

  it("refuses a line, an event and a stream above the size limit", () => {
    const kilobyte = "x".repeat(1024);
    const endless: Readonly<Record<string, string>> = {
      "an event": kilobyte,
      "an event ": `data: ${kilobyte}\n`,
      "the stream": `: ${kilobyte}\n`,
      "the stream ": "data: 1\n\n",
    };
    for (const [what, piece] of Object.entries(endless)) {
      const parser = new EventParser();
      const flood = () => {
        for (let count = 0; count < 10_000; count += 1) parser.push(encode(piece));
      };
      expect(flood, piece.slice(0, 10)).to.throw(RangeError, what.trim());
    }
  });
});
