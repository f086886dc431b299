import { expect } from "chai";
import { type Clock, poll, withRetry } from "../../../../src/core/retry.ts";
import { RpcUnavailableError } from "../../../../src/errors/index.ts";
import { catchError } from "../../../support/update/catch-error.ts";

/** A clock that moves only while a caller sleeps, and notes how long. */
function noting(): Clock & { readonly pauses: number[] } {
  const pauses: number[] = [];
  let now = 0;
  return {
    pauses,
    now: () => now,
    sleep: async (milliseconds, signal) => {
      signal?.throwIfAborted();
      pauses.push(milliseconds);
      now += milliseconds;
    },
  };
}

describe("withRetry", () => {
  const fault = new Error("fault");

  it("tries until it succeeds, with the given pauses", async () => {
    const clock = noting();
    const attempts: number[] = [];
    const result = await withRetry({ clock, pauseAfter: (_, tries) => 10 * tries }, async (tries) => {
      attempts.push(tries);
      if (tries < 3) throw fault;
      return undefined;
    });
    expect(result).to.equal(undefined);
    expect(attempts).to.deep.equal([1, 2, 3]);
    expect(clock.pauses).to.deep.equal([10, 20]);
  });

  it("rejects with the error that says more", async () => {
    const final = new Error("final");
    const pauseAfter = (error: unknown, tries: number) => {
      expect(error).to.equal(fault);
      if (tries === 2) throw final;
      return 1;
    };
    const failing = withRetry({ clock: noting(), pauseAfter }, () => Promise.reject(fault));
    expect(await catchError(failing, Error)).to.equal(final);
  });

  it("rejects with the signal's reason, during an attempt and during a pause", async () => {
    for (const isSleeping of [true, false]) {
      const reason = new Error("stopped");
      const stopping = new AbortController();
      const pauseAfter = () => {
        if (isSleeping) stopping.abort(reason);
        else throw new Error("The retry goes on after the signal.");
        return 1;
      };
      const failing = withRetry({ clock: noting(), signal: stopping.signal, pauseAfter }, async () => {
        if (!isSleeping) stopping.abort(reason);
        throw fault;
      });
      expect(await catchError(failing, Error)).to.equal(reason);
    }
  });
});

describe("poll", () => {
  const expired = new Error("expired");
  const onTimeout = () => expired;

  /** Polls without an answer until the time is up. */
  async function pausesOf(parameters: { readonly everyMs: number; readonly timeoutMs: number }): Promise<number[]> {
    const clock = noting();
    const polling = poll({ clock }, { ...parameters, onTimeout }, async () => undefined);
    expect(await catchError(polling, Error)).to.equal(expired);
    return clock.pauses;
  }

  it("asks often at first and less often later, and once more when the time is up", async () => {
    const pauses = await pausesOf({ everyMs: 2_000, timeoutMs: 10_000 });
    expect(pauses.slice(0, 3)).to.deep.equal([100, 150, 225]);
    expect(pauses.at(-2)).to.equal(2_000);
    expect(Math.round(pauses.reduce((sum, pause) => sum + pause, 0))).to.equal(10_000);
  });

  it("asks at equal intervals when the longest pause is shorter than the first", async () => {
    expect(await pausesOf({ everyMs: 30, timeoutMs: 100 })).to.deep.equal([30, 30, 30, 10]);
  });

  it("goes on after a retryable error, and rejects with the last one when the time is up", async () => {
    const passing = new RpcUnavailableError("reading", { cause: new Error("busy") });
    const answers = [passing, undefined, "answer"];
    const ask = async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    };
    expect(await poll({ clock: noting() }, { everyMs: 1, timeoutMs: 100, onTimeout }, ask)).to.equal("answer");

    const faults: unknown[] = [];
    const noteFault = (_: number, fault: unknown) => {
      faults.push(fault);
      return expired;
    };
    const settings = { everyMs: 1, timeoutMs: 3, onTimeout: noteFault };
    await catchError(
      poll({ clock: noting() }, settings, () => Promise.reject(passing)),
      Error,
    );
    await catchError(
      poll({ clock: noting() }, settings, async () => undefined),
      Error,
    );
    expect(faults).to.deep.equal([passing, undefined]);
  });

  it("ends at once with any other error, unless the caller accepts it", async () => {
    const fault = new Error("fault");
    const settings = { everyMs: 1, timeoutMs: 3, onTimeout };
    const asking = () => Promise.reject(fault);
    expect(await catchError(poll({ clock: noting() }, settings, asking), Error)).to.equal(fault);
    const mayPass = async () => true;
    expect(await catchError(poll({ clock: noting() }, { ...settings, mayPass }, asking), Error)).to.equal(expired);
  });
});
