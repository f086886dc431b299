import { expect } from "chai";
import { formatUptime } from "../../../../src/mock-cloud/services/guest.ts";

describe("formatUptime", () => {
  it("starts with the largest unit that is not zero, and includes each smaller one", () => {
    const seconds: [number, string][] = [
      [0, "0s"],
      [59, "59s"],
      [60, "1m 0s"],
      [3600, "1h 0m 0s"],
      [86_400, "1d 0h 0m 0s"],
      [2 * 86_400 + 3 * 3600 + 4 * 60 + 5, "2d 3h 4m 5s"],
    ];
    for (const [count, text] of seconds) expect(formatUptime(count * 1000 + 999)).to.equal(text);
  });
});
