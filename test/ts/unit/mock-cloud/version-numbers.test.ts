import { expect } from "chai";
import { versionNumbers } from "../../../../src/mock-cloud/http/platform-answers.ts";

describe("versionNumbers", () => {
  it("reads three numbers, or four", () => {
    const versions: [string, number[]][] = [
      ["0.5.7", [0, 5, 7]],
      ["v1.2.3-rc4", [1, 2, 3, 4]],
      ["10.20", [10, 20, 0]],
      ["nightly", [0, 0, 0]],
      ["1.2.3.4.5", [1, 2, 3, 4]],
    ];
    for (const [version, numbers] of versions) expect(versionNumbers(version), version).to.deep.equal(numbers);
  });
});
