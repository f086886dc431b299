import { expect } from "chai";
import fc from "fast-check";
import { concat, getAddress, type Hex, numberToHex, pad } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import {
  decodeSafeSignatures,
  encodeSafeSignatures,
  type SafeSignature,
  toSafeSignature,
} from "../../../../src/core/safe-signing.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { rejection } from "../../../support/rejection.ts";

const safeTxHash: Hex = `0x${"ab".repeat(32)}`;
const anna = privateKeyToAccount(generatePrivateKey());
const word = (value: number) => numberToHex(value, { size: 32 });

describe("Safe signatures", () => {
  it("come back as they were encoded, whatever their number and kinds", async () => {
    const signer = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => getAddress(hex(bytes)));
    const entry: fc.Arbitrary<SafeSignature> = fc.oneof(
      fc.record({ kind: fc.constant("approved-hash" as const), signer }),
      fc.record({
        kind: fc.constant("contract" as const),
        signer,
        signature: fc.uint8Array({ maxLength: 200 }).map(hex),
      }),
    );
    const list = fc.uniqueArray(entry, { maxLength: 6, selector: ({ signer }) => signer });
    await fc.assert(
      fc.asyncProperty(list, async (signatures) => {
        const bytes = encodeSafeSignatures(signatures);
        expect(await decodeSafeSignatures({ signatures: bytes, safeTxHash })).to.have.deep.members(signatures);
      }),
    );
  });

  it("are refused when an owner signs twice, in any letter case", async () => {
    const entry: SafeSignature = { kind: "approved-hash", signer: anna.address };
    const lower: SafeSignature = { ...entry, signer: anna.address.toLowerCase() as Hex };
    expect(() => encodeSafeSignatures([entry, lower])).to.throw(InvalidArgumentError, anna.address);
  });

  it("are refused when the bytes are no signatures", async () => {
    const good = await anna.sign({ hash: safeTxHash });
    const outOfBounds = concat([pad(anna.address), word(65), "0x00"]);
    const wrong: readonly string[] = [
      "0xzz",
      "0x1",
      good.slice(0, -2),
      `${good}00`,
      `${good.slice(0, -2)}1d`, // v = 29
      concat([word(0), word(0), "0x1b"]), // no point
      concat([numberToHex(2n ** 200n, { size: 32 }), word(0), "0x01"]),
      outOfBounds,
      concat([outOfBounds, numberToHex(2n ** 255n, { size: 32 })]),
      concat([outOfBounds, word(33), "0x11"]),
      concat([pad(anna.address), word(0), "0x00", word(0)]), // points into itself
    ];
    for (const signatures of wrong) {
      const failed = decodeSafeSignatures({ signatures: signatures as Hex, safeTxHash });
      expect(await rejection(failed), signatures).to.be.instanceOf(InvalidArgumentError);
    }
    expect(await decodeSafeSignatures({ signatures: "0x", safeTxHash })).to.deep.equal([]);
  });

  it("name the signer, and another one for another hash", async () => {
    const signatures = await anna.sign({ hash: safeTxHash });
    const [entry] = await decodeSafeSignatures({ signatures, safeTxHash });
    expect(entry).to.deep.equal({ kind: "ecdsa", signer: anna.address, signature: signatures });
    const [other] = await decodeSafeSignatures({ signatures, safeTxHash: `0x${"ac".repeat(32)}` });
    expect(other?.signer).to.not.equal(anna.address);
  });

  it("are made from what a wallet returns, with v 0, 1, 27, 28, 31 or 32", async () => {
    const { address: signer } = anna;
    const typed = await anna.sign({ hash: safeTxHash });
    const personal = await anna.signMessage({ message: { raw: safeTxHash } });
    for (const [signature, kind, start] of [
      [typed, "ecdsa", 27],
      [personal, "eth-sign", 31],
    ] as const) {
      const parity = Number.parseInt(signature.slice(-2), 16) - 27;
      const expected = { kind, signer, signature: `${signature.slice(0, -2)}${(start + parity).toString(16)}` };
      for (const v of [parity, 27 + parity, 31 + parity]) {
        const given = concat([signature.slice(0, -2) as Hex, numberToHex(v, { size: 1 })]);
        expect(await toSafeSignature({ signature: given, safeTxHash, signer })).to.deep.equal(expected);
      }
    }
    const stranger = privateKeyToAccount(generatePrivateKey()).address;
    const wrong = toSafeSignature({ signature: typed, safeTxHash, signer: stranger });
    expect(await rejection(wrong)).to.be.instanceOf(InvalidArgumentError);
  });
});

function hex(bytes: Uint8Array): Hex {
  return `0x${Buffer.from(bytes).toString("hex")}`;
}
