import { encodeMultiSendData } from "@safe-global/protocol-kit";
import { expect } from "chai";
import fc from "fast-check";
import {
  type Address,
  concat,
  encodeFunctionData,
  getAddress,
  type Hex,
  numberToHex,
  parseAbi,
  size,
  zeroAddress,
} from "viem";
import { parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { buildSafeTx, encodeMultiSend, type SafeTx } from "../../../../src/core/safe.ts";
import { decodeExecTransaction, decodeSafeTx, encodeExecTransaction } from "../../../../src/core/safe-calldata.ts";
import {
  multiSendAddresses,
  multiSendCallOnlyAddresses,
  safeDeployments,
} from "../../../../src/core/safe-deployments.ts";

const appId = parseAppId("ab".repeat(20));
const safe: Address = `0x${"12".repeat(20)}`;
const stranger: Address = `0x${"99".repeat(20)}`;
const { multiSendCallOnly: multiSend } = safeDeployments["1.5.0"];
const calls: readonly OwnerCall[] = [
  addComposeHashCall({ appId, composeHash: parseComposeHash("cd".repeat(32)) }),
  removeComposeHashCall({ appId, composeHash: parseComposeHash("ce".repeat(32)) }),
];
const contracts = [{ contract: "app", address: appId }] as const;
const decode = (safeTx: SafeTx, more: { readonly multiSend?: Address } = {}) =>
  decodeSafeTx(safeTx, { safe, contracts, ...more });
const abi = parseAbi(["function multiSend(bytes transactions) payable"]);

interface Packed {
  readonly operation?: number;
  readonly to?: Hex;
  readonly value?: bigint;
  readonly data?: Hex;
}
function pack({ operation = 0, to = stranger, value = 0n, data = "0x" }: Packed): Hex {
  const head = [numberToHex(operation, { size: 1 }), to, numberToHex(value, { size: 32 })] as const;
  return concat([...head, numberToHex(size(data), { size: 32 }), data]);
}
const viaMultiSend = (...packed: readonly Hex[]): SafeTx => ({
  ...buildSafeTx({ calls, multiSend, nonce: 0n }),
  data: encodeFunctionData({ abi, args: [concat([...packed])] }),
});
const kindsOf = (safeTx: SafeTx) => decode(safeTx).problems.map(({ kind }) => kind);

describe("decodeSafeTx", () => {
  it("decodes a single call and the calls of every deployment of MultiSend", () => {
    for (const nonce of [0n, 9n]) {
      const one = decode(buildSafeTx({ calls: calls.slice(0, 1), multiSend, nonce }));
      expect(one).to.deep.include({ problems: [] });
      expect(one.calls.map(({ call }) => call)).to.deep.equal(calls.slice(0, 1));
    }
    for (const address of [...multiSendCallOnlyAddresses, ...multiSendAddresses]) {
      const several = decode(buildSafeTx({ calls, multiSend: address, nonce: 0n }));
      expect(several.problems).to.deep.equal([]);
      expect(several.calls.map(({ call }) => call)).to.deep.equal(calls);
    }
    expect(
      decode(buildSafeTx({ calls, multiSend: stranger, nonce: 0n }), { multiSend: stranger }).problems,
    ).to.deep.equal([]);
  });

  it("decodes what protocol-kit packs", () => {
    const packed = encodeMultiSendData(calls.map(({ to, data }) => ({ to, data, value: "0" }))) as Hex;
    expect(encodeMultiSend(calls)).to.equal(encodeFunctionData({ abi, args: [packed] }));
  });

  it("names a delegatecall to other code, also inside MultiSend", () => {
    const outside = decode({ ...buildSafeTx({ calls, multiSend: stranger, nonce: 0n }) });
    expect(outside.problems.map(({ kind }) => kind)).to.deep.equal(["delegatecall"]);
    expect(outside.problems[0]?.message).to.contain(getAddress(stranger));
    expect(outside.calls.map(({ call }) => call)).to.deep.equal([undefined]);
    const [first] = calls;
    expect(kindsOf(viaMultiSend(pack({ operation: 1, to: appId, data: first?.data ?? "0x" })))).to.deep.equal([
      "delegatecall",
    ]);
    expect(kindsOf({ ...buildSafeTx({ calls: calls.slice(0, 1), multiSend, nonce: 0n }), operation: 1 })).to.deep.equal(
      ["delegatecall"],
    );
  });

  it("names value, a refund, a call of the Safe itself and a call that it does not know", () => {
    const [first] = calls;
    const single = buildSafeTx({ calls: calls.slice(0, 1), multiSend, nonce: 0n });
    expect(kindsOf({ ...single, value: 1n })).to.deep.equal(["value"]);
    expect(kindsOf({ ...buildSafeTx({ calls, multiSend, nonce: 0n }), value: 1n })).to.deep.equal(["value"]);
    expect(kindsOf(viaMultiSend(pack({ to: appId, data: first?.data ?? "0x", value: 5n })))).to.deep.equal(["value"]);
    expect(kindsOf({ ...single, gasPrice: 1n, gasToken: stranger })).to.deep.equal(["refund"]);
    expect(kindsOf({ ...single, to: safe })).to.deep.equal(["safe-settings"]);
    // MultiSend 1.5.0 takes address zero for the Safe.
    expect(kindsOf(viaMultiSend(pack({ to: zeroAddress, data: "0x694e80c3" })))).to.deep.equal(["safe-settings"]);
    expect(kindsOf({ ...single, to: stranger })).to.deep.equal(["unknown-call"]);
    expect(kindsOf({ ...single, data: `${single.data}00` })).to.deep.equal(["unknown-call"]);
    expect(kindsOf({ ...single, data: "0x" })).to.deep.equal(["unknown-call"]);
    // A call, not a delegatecall: the app would see MultiSend as the caller.
    expect(kindsOf({ ...buildSafeTx({ calls, multiSend, nonce: 0n }), operation: 0 })).to.deep.equal(["unknown-call"]);
  });

  it("does not decode bytes that are not exactly a list of calls", () => {
    const good = pack({ to: appId, data: calls[0]?.data ?? "0x" });
    const wrong = [
      "0x",
      `${good}00`,
      good.slice(0, -2),
      pack({ operation: 2 }),
      concat([good, `0x00${"99".repeat(20)}${"00".repeat(32)}${"ff".repeat(32)}`]),
    ] as Hex[];
    for (const packed of wrong) {
      const { calls, problems } = decode(viaMultiSend(packed));
      expect(calls).to.deep.equal([]);
      expect(problems.map(({ kind }) => kind)).to.deep.equal(["malformed"]);
    }
    const loose: Hex = `${viaMultiSend(good).data}${"00".repeat(32)}`;
    expect(kindsOf({ ...viaMultiSend(good), data: loose })).to.deep.equal(["malformed"]);
    expect(kindsOf({ ...viaMultiSend(good), data: "0x8d80ff0a" })).to.deep.equal(["malformed"]);
  });

  it("never throws and never takes random bytes for an owner call", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.constantFrom<0 | 1>(0, 1), (bytes, operation) => {
        const data: Hex = `0x${Buffer.from(bytes).toString("hex")}`;
        const safeTx = { ...buildSafeTx({ calls, multiSend, nonce: 0n }), operation };
        for (const candidate of [{ ...safeTx, data }, viaMultiSend(data)])
          expect(decode(candidate).problems).to.not.deep.equal([]);
      }),
    );
  });
});

describe("decodeExecTransaction", () => {
  it("returns the fields that were encoded, also with a mark behind them", () => {
    const { nonce: _, ...fields } = buildSafeTx({ calls, multiSend, nonce: 3n });
    const data = encodeExecTransaction({ ...fields, nonce: 3n }, `0x${"11".repeat(65)}`);
    const expected = { safeTx: { ...fields, to: getAddress(fields.to) }, signatures: `0x${"11".repeat(65)}` };
    expect(decodeExecTransaction(data)).to.deep.equal(expected);
    expect(decodeExecTransaction(`${data}${"5afe00".repeat(10)}`)).to.deep.equal(expected);
  });

  it("returns undefined for other calldata", () => {
    expect(decodeExecTransaction("0x")).to.equal(undefined);
    expect(decodeExecTransaction(calls[0]?.data ?? "0x")).to.equal(undefined);
    const data = encodeExecTransaction(buildSafeTx({ calls, multiSend, nonce: 3n }), "0x");
    expect(decodeExecTransaction(data.slice(0, 400) as Hex)).to.equal(undefined);
  });
});
