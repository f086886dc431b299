import { expect } from "chai";
import { createChainClock } from "../../../../src/world/chain/clock.ts";

/** Seconds that the imitated engine's clock goes ahead at each revert, as if half of them had passed. */
const fault = 100;
/** On a busy machine, seconds pass during a test. */
const margin = 10;

const realTime = () => Math.floor(Date.now() / 1000);

/** An engine whose clock has EDR's fault. Its snapshots keep the newest block and the offset. */
function engineOf(allowsEqualTimestamps: boolean) {
  let [head, offset, snapshots] = [realTime(), 0, 0];
  let next: number | undefined;
  const taken = new Map<unknown, { readonly head: number; readonly offset: number }>();
  const answers: Readonly<Record<string, (value: unknown) => unknown>> = {
    eth_getBlockByNumber: () => ({ timestamp: head }),
    evm_increaseTime: (seconds) => {
      offset += Number(seconds);
      return String(offset);
    },
    evm_setNextBlockTimestamp: (time) => {
      if (Number(time) < head + (allowsEqualTimestamps ? 0 : 1)) throw new Error("The time is in the past.");
      next = Number(time);
    },
    evm_mine: () => {
      const earliest = allowsEqualTimestamps ? head : head + 1;
      head = next ?? Math.max(realTime() + offset, earliest);
      [offset, next] = [head - realTime(), undefined];
    },
    evm_snapshot: () => {
      snapshots += 1;
      taken.set(snapshots, { head, offset });
      return snapshots;
    },
    evm_revert: (id) => {
      const snapshot = taken.get(id);
      if (snapshot === undefined) return false;
      [head, offset, next] = [snapshot.head, snapshot.offset + fault, undefined];
      return true;
    },
  };
  const request = async (method: string, [value]: readonly unknown[]) => answers[method]?.(value);
  const { answer, now } = createChainClock({ request, allowsEqualTimestamps });
  const call = (method: string, ...params: unknown[]) => answer(method, params);
  /** Mines a block, and returns its timestamp. */
  const mine = async () => {
    await call("evm_mine");
    return head;
  };
  return { call, mine, now };
}

for (const allowsEqualTimestamps of [true, false])
  describe(`the clock of a chain whose blocks ${allowsEqualTimestamps ? "may" : "do not"} share timestamps`, () => {
    let engine: ReturnType<typeof engineOf>;
    let start: number;
    beforeEach(async () => {
      engine = engineOf(allowsEqualTimestamps);
      start = await engine.mine();
    });

    const expectMined = async (after: number) => {
      expect((await engine.mine()) - start).to.be.within(after, after + margin);
    };

    it("returns to the time of a snapshot, each time", async () => {
      for (let restored = 0; restored < 3; restored += 1) {
        const id = await engine.call("evm_snapshot");
        expect(await engine.call("evm_revert", id)).to.equal(true);
        expect((await engine.now()) - start).to.be.within(0, margin);
        await expectMined(0);
        await expectMined(0);
        await engine.call("evm_revert", id);
      }
      await expectMined(0);
    });

    it("returns to it again without a block in between", async () => {
      const id = await engine.call("evm_snapshot");
      await engine.call("evm_revert", id);
      const again = await engine.call("evm_snapshot");
      await engine.call("evm_revert", again);
      expect((await engine.now()) - start).to.be.within(0, margin);
      await expectMined(0);
    });

    it("counts from there when a client moves it", async () => {
      const id = await engine.call("evm_snapshot");
      await engine.call("evm_increaseTime", 5000);
      await expectMined(5000);
      await engine.call("evm_revert", id);
      const offset = Number(await engine.call("evm_increaseTime", 1000));
      expect(realTime() + offset - start).to.be.within(1000, 1000 + margin);
      await expectMined(1000);
    });

    it("takes the time that a client chooses", async () => {
      const id = await engine.call("evm_snapshot");
      await engine.call("evm_revert", id);
      await engine.call("evm_setNextBlockTimestamp", start + 700);
      await expectMined(700);
      await expectMined(700);
    });

    it("is left alone by a revert to a snapshot that does not exist", async () => {
      await engine.call("evm_increaseTime", 300);
      expect(await engine.call("evm_revert", 99)).to.equal(false);
      await expectMined(300);
    });
  });
