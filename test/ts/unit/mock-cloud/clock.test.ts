import { setImmediate as nextTurn } from "node:timers/promises";
import { expect } from "chai";
import { createAdjustableClock, systemClock } from "../../../../src/mock-cloud/clock.ts";
import { manualClock } from "../../../support/mock-cloud/manual-clock.ts";
import { rejection } from "../../../support/rejection.ts";

const minute = 60_000;

describe("adjustable clock", () => {
  const { signal } = new AbortController();

  it("follows the clock below it, ahead by the time that it was advanced", () => {
    const base = manualClock(1_000);
    const clock = createAdjustableClock(base, 50);
    clock.advance(200);
    base.advance(7);
    expect(clock.now()).to.equal(1_257);
    expect(clock.offsetMs).to.equal(250);
  });

  it("wakes the sleepers that are due, the earliest first, and no others", async () => {
    const clock = createAdjustableClock(manualClock());
    const awake: string[] = [];
    for (const [name, ms] of [
      ["ten", 10 * minute],
      ["one", minute],
      ["hour", 60 * minute],
    ] as const) {
      void clock.sleep(ms, signal).then(() => awake.push(name));
    }
    clock.advance(minute - 1);
    await nextTurn();
    expect(awake).to.deep.equal([]);
    clock.advance(10 * minute);
    await nextTurn();
    expect(awake).to.deep.equal(["one", "ten"]);
    clock.advance(60 * minute);
    await nextTurn();
    expect(awake).to.deep.equal(["one", "ten", "hour"]);
  });

  it("wakes a sleeper when an advance and real time together reach its time", async () => {
    const base = manualClock();
    const clock = createAdjustableClock(base);
    const slept = clock.sleep(minute, signal);
    clock.advance(minute / 2);
    await nextTurn();
    base.advance(minute / 2);
    await slept;
  });

  it("wakes a sleeper when real time reaches its time", async () => {
    const clock = createAdjustableClock(systemClock);
    const slept = clock.sleep(60 * minute, signal);
    clock.advance(60 * minute);
    await slept;
  });

  it("sleeps longer than the longest timer of Node", async () => {
    const clock = createAdjustableClock(systemClock);
    let isAwake = false;
    const slept = clock.sleep(2 ** 31 + 1_000, signal).then(() => {
      isAwake = true;
    });
    await systemClock.sleep(5, signal);
    expect(isAwake).to.equal(false);
    clock.advance(2 ** 31 + 1_000);
    await slept;
  });

  it("measures a sleep from the time that the clock was set back to", async () => {
    const base = manualClock(5_000);
    const clock = createAdjustableClock(base);
    let isAwake = false;
    clock.set(1_000);
    void clock.sleep(500, signal).then(() => {
      isAwake = true;
    });
    base.advance(499);
    await nextTurn();
    expect(isAwake).to.equal(false);
    base.advance(1);
    await nextTurn();
    expect(isAwake).to.equal(true);
    expect(clock.now()).to.equal(1_500);
  });

  it("stops sleeping when the signal is aborted", async () => {
    const stopping = new AbortController();
    const clock = createAdjustableClock(manualClock());
    const slept = rejection(clock.sleep(minute, stopping.signal));
    stopping.abort(new Error("closing"));
    expect(await slept).to.include({ message: "closing" });
  });
});
