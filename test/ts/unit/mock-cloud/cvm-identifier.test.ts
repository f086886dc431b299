import { expect } from "chai";
import { type CvmIdentifier, parseCvmIdentifier } from "../../../../src/mock-cloud/services/find.ts";

const hex = "aB".repeat(20);
const appId = `0x${"ab".repeat(20)}` as const;
const uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";

describe("parseCvmIdentifier", () => {
  const cases: [raw: string, expected: CvmIdentifier][] = [
    ["cvm_ab12CD34", { kind: "hashid", hashid: "cvm_ab12CD34" }],
    ["42", { kind: "id", id: 42 }],
    [uuid, { kind: "uuid", uuid }],
    [uuid.replaceAll("-", ""), { kind: "uuid", uuid }],
    [uuid.toUpperCase(), { kind: "uuid", uuid }],
    [`app_${hex}`, { kind: "app", appId }],
    [`0x${hex}`, { kind: "app", appId }],
    [hex, { kind: "app", appId }],
    ["1".repeat(40), { kind: "app", appId: `0x${"1".repeat(40)}` }],
    [`instance_${hex}`, { kind: "instance", instanceId: appId }],
    ["my-app-cvm", { kind: "name", name: "my-app-cvm" }],
    [`app_${hex.slice(2)}`, { kind: "name", name: `app_${hex.slice(2)}` }],
    ["app_", { kind: "name", name: "app_" }],
  ];
  for (const [raw, expected] of cases) {
    it(`reads ${raw} as ${expected.kind}`, () => {
      expect(parseCvmIdentifier(raw)).to.deep.equal(expected);
    });
  }
});
