import { expect } from "chai";
import { encodeFunctionData, parseAbi } from "viem";
import { initializerCalls, parseInitializer } from "../../../../src/commands/initializer.ts";

const abi = parseAbi([
  "struct Limits { uint64 most; bool isStrict; }",
  "function initialize(address owner, bool flag)",
  "function initializeAll(string name, bytes32[2] hashes, Limits limits, int8 shift, bytes data)",
  "function reinitialize(uint256 version)",
  "function reinitialize(string label)",
  "function initialized() view returns (bool)",
]);
const owner = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955";
const hash = `0x${"ab".repeat(32)}` as const;

describe("--initialize", () => {
  it("encodes a call with values of every kind", () => {
    const text = `initializeAll("a, (b) \\"c\\"", ["${hash}", "${hash}"], [12, true], -3, 0x)`;
    const args = ['a, (b) "c"', [hash, hash], { most: 12n, isStrict: true }, -3, "0x"] as const;
    expect(parseInitializer(text, abi).data).to.equal(encodeFunctionData({ abi, functionName: "initializeAll", args }));
    const simple = parseInitializer(` initialize(${owner}, false) `, abi);
    expect(simple.data).to.equal(encodeFunctionData({ abi, functionName: "initialize", args: [owner, false] }));
    expect(simple.title).to.equal(`initialize(${owner}, false)`);
  });

  it("decodes calldata as far as the contract explains it", () => {
    const data = encodeFunctionData({ abi, functionName: "initialize", args: [owner, true] });
    expect(parseInitializer(data, abi)).to.deep.equal({ data, title: `initialize(${owner}, true)` });
    expect(parseInitializer("0x12345678", abi)).to.deep.equal({ data: "0x12345678", title: "0x12345678" });
    expect(parseInitializer(data, undefined).title).to.equal(data);
  });

  for (const [text, problem] of [
    ["initialize", "is neither calldata nor a call"],
    ["0x1234", "is neither calldata nor a call"],
    ["missing()", "no function missing with 0 values"],
    [`initialize(${owner})`, "no function initialize with 1 values. It has initialize(address,bool)"],
    [`initialize(${owner}, maybe)`, "do not fit initialize(address,bool)"],
    ["initialize(0x14dC79964da2C08b23698B3D3cc7Ca32193d9956, true)", "do not fit"],
    ["reinitialize(2)", "fit several functions"],
  ] as const)
    it(`refuses ${text}`, () => {
      expect(() => parseInitializer(text, abi)).to.throw(problem);
    });

  it("needs a contract for a call by name", () => {
    expect(() => parseInitializer("initialize()", undefined)).to.throw("there is no --contract");
  });

  it("finds every function that looks like an initialiser, with values", () => {
    const calls = initializerCalls(abi);
    expect(calls.map(({ name }) => name)).to.deep.equal([
      "initialize",
      "initializeAll",
      "reinitialize",
      "reinitialize",
    ]);
    expect(new Set(calls.map(({ data }) => data)).size).to.equal(4);
  });
});
