import { expect } from "chai";
import { concatHex, encodeFunctionData, numberToHex, parseAbi, size } from "viem";
import { parseAge } from "../../../../../src/commands/arguments.ts";
import { parseAppId, parseComposeHash } from "../../../../../src/core/ids.ts";
import { InvalidArgumentError } from "../../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../../src/generated/abi.ts";
import { canMention, findMentions } from "../../../../../src/prune/allowlist-use.ts";

const appId = parseAppId("a0".repeat(20));
const hash = parseComposeHash("abcdef01".repeat(8));
const other = parseComposeHash("11".repeat(32));
const add = encodeFunctionData({ abi: dstackAppAbi, functionName: "addComposeHash", args: [hash] });
const remove = encodeFunctionData({ abi: dstackAppAbi, functionName: "removeComposeHash", args: [hash] });

describe("findMentions", () => {
  const found = (text: string) => findMentions(text, [hash, other]);

  it("finds a hash in the calldata of each function", () => {
    expect(found(add)).to.deep.equal([hash]);
    expect(found(remove)).to.deep.equal([hash]);
  });

  it("finds a hash in a Transaction Builder file, in any letter case, with or without prefix", () => {
    const file = { version: "1.0", chainId: "8453", transactions: [{ to: appId, value: "0", data: add }] };
    expect(found(JSON.stringify(file))).to.deep.equal([hash]);
    expect(found(JSON.stringify({ contractInputsValues: { composeHash: hash.toUpperCase() } }))).to.deep.equal([hash]);
    expect(found(hash.slice(2))).to.deep.equal([hash]);
  });

  it("finds a hash in a MultiSend inside a timelock's operation, at an uneven offset", () => {
    const packed = concatHex(["0x00", appId, numberToHex(0, { size: 32 }), numberToHex(size(add), { size: 32 }), add]);
    const multiSend = encodeFunctionData({ abi: parseAbi(["function multiSend(bytes)"]), args: [packed] });
    const schedule = encodeFunctionData({
      abi: parseAbi(["function schedule(address,uint256,bytes,bytes32,bytes32,uint256)"]),
      args: [appId, 0n, multiSend, other, numberToHex(7, { size: 32 }), 86_400n],
    });
    expect(found(schedule)).to.deep.equal([hash, other]);
  });

  it("finds nothing in a part of a hash", () => {
    expect(found(hash.slice(0, -2))).to.deep.equal([]);
    expect(found("")).to.deep.equal([]);
  });
});

describe("canMention", () => {
  it("accepts text that can hold a hash, and no other", () => {
    for (const text of [add, hash.slice(2), hash.toUpperCase()]) expect(canMention(text), text).to.equal(true);
    for (const text of ['{"transactions":[]}', appId, hash.slice(0, -1)]) {
      expect(canMention(text), text).to.equal(false);
    }
  });
});

describe("parseAge", () => {
  for (const [raw, seconds] of [
    ["30d", 2_592_000],
    ["12h", 43_200],
    ["90m", 5_400],
    ["45s", 45],
    ["2w", 1_209_600],
    ["0d", 0],
  ] as const) {
    it(`reads ${raw}`, () => expect(parseAge(raw)).to.equal(seconds));
  }

  for (const raw of ["", "30", "d", "-1d", "1.5h", "30 days", "1e3s", "9999999d", "30D", "30d6h", "x30d"]) {
    it(`refuses "${raw}"`, () => expect(() => parseAge(raw)).to.throw(InvalidArgumentError));
  }
});
