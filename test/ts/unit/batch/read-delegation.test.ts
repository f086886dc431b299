import { expect } from "chai";
import { createClient, custom } from "viem";
import { readDelegation } from "../../../../src/chain/code.ts";

const address = `0x${"0e".repeat(20)}` as const;
const to = "ab".repeat(20);
const read = (code: string) =>
  readDelegation(createClient({ transport: custom({ request: async () => code }) }), { address });

describe("readDelegation", () => {
  it("tells a delegation, in either letter case, from a contract of the same length", async () => {
    expect(await read("0x")).to.deep.equal({ kind: "none" });
    expect(await read(`0xef0100${to}`)).to.deep.equal({ kind: "delegated", to: `0x${to}` });
    expect(await read(`0xEF0100${to.toUpperCase()}`)).to.deep.equal({ kind: "delegated", to: `0x${to}` });
    for (const code of [
      `0xef0101${to}`,
      `0x600100${to}`,
      `0xef0100${to}00`,
      `0xef0100${to.slice(2)}`,
      "0xef0100",
      "0x00",
    ])
      expect(await read(code), code).to.deep.equal({ kind: "contract" });
  });
});
