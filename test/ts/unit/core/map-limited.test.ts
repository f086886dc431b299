import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { mapLimited } from "../../../../src/core/map-limited.ts";
import { rejection } from "../../../support/rejection.ts";

const items = Array.from({ length: 20 }, (_, index) => index);

describe("mapLimited", () => {
  it("runs as many at a time as the limit allows, and returns the results in order", async () => {
    let running = 0;
    let most = 0;
    const results = await mapLimited(
      items,
      async (item) => {
        most = Math.max(most, ++running);
        await sleep((item * 7) % 5);
        running -= 1;
        return item * 2;
      },
      { limit: 3 },
    );
    expect(results).to.deep.equal(items.map((item) => item * 2));
    expect(most).to.equal(3);
    expect(await mapLimited([], async () => 1, { limit: 3 })).to.deep.equal([]);
  });

  it("starts nothing new after a failure, and rejects once the running work has ended", async () => {
    const fault = new Error("no");
    const begun: number[] = [];
    const ended: number[] = [];
    const failing = mapLimited(
      items,
      async (item) => {
        begun.push(item);
        if (item === 1) throw fault;
        await sleep(5);
        ended.push(item);
      },
      { limit: 3 },
    );
    expect(await rejection(failing)).to.equal(fault);
    expect(begun).to.deep.equal([0, 1, 2]);
    expect(ended).to.deep.equal([0, 2]);
  });

  it("starts nothing new after the signal, and rejects with its reason", async () => {
    const stop = new AbortController();
    const reason = new Error("Ctrl-C");
    const begun: number[] = [];
    const work = async (item: number) => {
      begun.push(item);
      if (item === 4) stop.abort(reason);
    };
    expect(await rejection(mapLimited(items, work, { limit: 1, signal: stop.signal }))).to.equal(reason);
    expect(begun).to.deep.equal([0, 1, 2, 3, 4]);
  });
});
