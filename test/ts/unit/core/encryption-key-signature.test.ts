import { secp256k1 } from "@noble/curves/secp256k1";
import { verifyEnvEncryptPublicKey as verifyOfCloudSdk } from "@phala/cloud";
import {
  verifyEnvEncryptPublicKey,
  verifyEnvEncryptPublicKeyLegacy,
} from "@phala/dstack-sdk/verify-env-encrypt-public-key";
import { expect } from "chai";
import fc from "fast-check";
import { bytesToHex, hexToBytes } from "viem";
import {
  hashEncryptionKeyStatement,
  recoverEncryptionKeySigner,
  verifyEncryptionKey,
} from "../../../../src/core/encryption-key-signature.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { InvalidHexError, UntrustedEncryptionKeyError } from "../../../../src/errors/index.ts";
import published from "../../../support/vectors/encryption-key-signature.json" with { type: "json" };

const { signerPublicKey, publicKey, legacy } = published;
const appId = parseAppId(published.appId);
const timestamp = BigInt(published.timestamped.timestamp);
const legacyStatement = { appId, publicKey, signature: legacy.signature };
const timestampedStatement = { appId, publicKey, timestamp, signature: published.timestamped.signature };

describe("encryption key signature", () => {
  it("covers the published digests", () => {
    expect(hashEncryptionKeyStatement({ appId, publicKey })).to.equal(`0x${legacy.digest}`);
    expect(hashEncryptionKeyStatement({ appId, publicKey, timestamp })).to.equal(`0x${published.timestamped.digest}`);
  });

  it("gives the published signer in both formats", () => {
    for (const statement of [legacyStatement, timestampedStatement]) {
      expect(recoverEncryptionKeySigner(statement)).to.equal(signerPublicKey);
    }
  });

  it("may carry the recovery id as 27 or 28", () => {
    expect(
      recoverEncryptionKeySigner({ ...legacyStatement, signature: `0x${legacy.signature.slice(0, -2)}1b` }),
    ).to.equal(signerPublicKey);
    const signature = `${timestampedStatement.signature.slice(0, -2)}1c`;
    expect(recoverEncryptionKeySigner({ ...timestampedStatement, signature })).to.equal(signerPublicKey);
  });

  it("is refused with another recovery id, a value out of range or a wrong width", () => {
    const digits = legacy.signature.slice(0, -2);
    for (const signature of [`${digits}02`, `${digits}1d`, `${"00".repeat(64)}00`, `${"ff".repeat(64)}00`]) {
      expect(() => recoverEncryptionKeySigner({ ...legacyStatement, signature })).to.throw(UntrustedEncryptionKeyError);
    }
    expect(() => recoverEncryptionKeySigner({ ...legacyStatement, signature: digits })).to.throw(InvalidHexError);
    expect(() => recoverEncryptionKeySigner({ ...legacyStatement, publicKey: publicKey.slice(2) })).to.throw(
      InvalidHexError,
    );
  });

  it("recovers the signer that the official packages recover", () => {
    const now = BigInt(Math.floor(Date.now() / 1000)); // the packages read the clock themselves
    fc.assert(
      fc.property(bytes(32), bytes(20), bytes(32), fc.bigInt(-50n, 200n), (secret, app, key, age) => {
        fc.pre(secp256k1.utils.isValidPrivateKey(secret));
        const statement = { appId: parseAppId(bytesToHex(app)), publicKey: bytesToHex(key) };
        const signer = bytesToHex(secp256k1.getPublicKey(secret, true));

        const legacySignature = sign(hashEncryptionKeyStatement(statement), secret);
        expect(verifyEnvEncryptPublicKeyLegacy(key, legacySignature, statement.appId)).to.equal(signer);
        expect(verifyOfCloudSdk(key, legacySignature, statement.appId)).to.equal(signer);
        expect(recoverEncryptionKeySigner({ ...statement, signature: bytesToHex(legacySignature) })).to.equal(signer);

        const timed = { ...statement, timestamp: now - age };
        const signature = sign(hashEncryptionKeyStatement(timed), secret);
        expect(verifyEnvEncryptPublicKey(key, signature, statement.appId, timed.timestamp)).to.equal(signer);
        expect(recoverEncryptionKeySigner({ ...timed, signature: bytesToHex(signature) })).to.equal(signer);
      }),
      { numRuns: 20 },
    );
  });

  describe("verified", () => {
    it("passes for the expected signer, in any letter case and without 0x", () => {
      const expectedSigner = signerPublicKey.slice(2).toUpperCase();
      verifyEncryptionKey({ ...legacyStatement, expectedSigner });
      verifyEncryptionKey({ ...timestampedStatement, expectedSigner, now: timestamp });
    });

    it("fails for a signer, app, key or time that is not the signed one", () => {
      const now = timestamp + 1n;
      const changes = [
        { expectedSigner: bytesToHex(secp256k1.getPublicKey(new Uint8Array(32).fill(1), true)) },
        { appId: parseAppId("c4".repeat(20)) },
        { publicKey: "14".repeat(32) },
        { timestamp: now },
        { timestamp: undefined },
      ];
      for (const change of changes) {
        expect(
          () => verifyEncryptionKey({ ...timestampedStatement, expectedSigner: signerPublicKey, now, ...change }),
          Object.keys(change)[0],
        ).to.throw(UntrustedEncryptionKeyError);
      }
    });

    const ages: readonly [string, bigint, boolean][] = [
      ["300 s old", 300n, true],
      ["301 s old", 301n, false],
      ["60 s ahead", -60n, true],
      ["61 s ahead", -61n, false],
    ];
    for (const [what, age, isAccepted] of ages) {
      it(`${isAccepted ? "passes" : "fails"} when the statement is ${what}`, () => {
        const verify = () =>
          verifyEncryptionKey({ ...timestampedStatement, expectedSigner: signerPublicKey, now: timestamp + age });
        if (isAccepted) verify();
        else expect(verify).to.throw(UntrustedEncryptionKeyError);
      });
    }

    it("applies a given maximum age, and needs the time for a statement with a timestamp", () => {
      const statement = { ...timestampedStatement, expectedSigner: signerPublicKey };
      verifyEncryptionKey({ ...statement, now: timestamp + 4000n, maxAge: 4000n });
      expect(() => verifyEncryptionKey({ ...statement, now: timestamp + 4001n, maxAge: 4000n })).to.throw(
        UntrustedEncryptionKeyError,
      );
      expect(() => verifyEncryptionKey(statement)).to.throw(UntrustedEncryptionKeyError);
    });
  });
});

function bytes(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length });
}

function sign(digest: `0x${string}`, secret: Uint8Array): Uint8Array {
  const signature = secp256k1.sign(hexToBytes(digest), secret);
  return Uint8Array.from([...signature.toCompactRawBytes(), signature.recovery]);
}
