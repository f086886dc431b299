import { gcm } from "@noble/ciphers/aes";
import { x25519 } from "@noble/curves/ed25519";
import { encryptEnvVars } from "@phala/cloud";
import { expect } from "chai";
import fc from "fast-check";
import { bytesToHex, hexToBytes } from "viem";
import {
  decryptEnvironment,
  type EnvironmentVariable,
  encryptEnvironment,
  encryptEnvironmentWith,
} from "../../../../src/core/environment.ts";
import { EnvironmentDecryptionError, InvalidEnvironmentError, InvalidHexError } from "../../../../src/errors/index.ts";
import { arbitraryText } from "../../../support/arbitrary-app-compose.ts";
import published from "../../../support/vectors/environment.json" with { type: "json" };

const { recipientPrivateKey, recipientPublicKey, variables, fromCloudSdk, deterministic } = published;

// All public keys whose shared secret is zero for every private key, in both spellings that x25519 reads alike.
const lowOrderKeys = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
];

const arbitraryVariables = fc.uniqueArray(
  fc.record(
    {
      key: fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/),
      value: arbitraryText.filter((text) => !text.includes("\0")),
    },
    { noNullPrototype: true },
  ),
  { selector: ({ key }) => key, maxLength: 5 },
);

describe("environment encryption", () => {
  it("gives the published payload for the published randomness", () => {
    expect(encryptWith(variables)).to.equal(deterministic.payload);
  });

  it("decrypts both published payloads, with and without 0x, in any letter case", () => {
    const payloads = [fromCloudSdk, `0x${fromCloudSdk}`, fromCloudSdk.toUpperCase(), deterministic.payload];
    for (const payload of payloads) {
      expect(decryptEnvironment(payload, recipientPrivateKey)).to.deep.equal(variables);
      expect(decryptEnvironment(payload, `0x${recipientPrivateKey}`)).to.deep.equal(variables);
    }
  });

  it("never gives the same payload twice", () => {
    const first = encryptEnvironment(variables, recipientPublicKey);
    expect(encryptEnvironment(variables, `0x${recipientPublicKey}`)).not.to.equal(first);
    expect(first).to.match(/^[0-9a-f]+$/);
  });

  it("decrypts every text as it was, in the same order", () => {
    fc.assert(
      fc.property(arbitraryVariables, (environment) => {
        const payload = encryptEnvironment(environment, recipientPublicKey);
        expect(decryptEnvironment(payload, recipientPrivateKey)).to.deep.equal(environment);
      }),
      { numRuns: 40 },
    );
  });

  it("decrypts what @phala/cloud encrypts", () =>
    fc.assert(
      fc.asyncProperty(arbitraryVariables, async (environment) => {
        const payload = await encryptEnvVars(environment, recipientPublicKey);
        expect(decryptEnvironment(payload, recipientPrivateKey)).to.deep.equal(environment);
      }),
      { numRuns: 20 },
    ));

  it("contains only key and value", () => {
    const annotated = { key: "A", value: "b", comment: "c" };
    expect(encryptWith([annotated])).to.equal(encryptWith([{ key: "A", value: "b" }]));
  });

  it("fails to decrypt when a byte is changed, cut off or added, or with another key", () => {
    const bytes = hexToBytes(`0x${deterministic.payload}`);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, change) => {
        // x25519 ignores the highest bit of a public key, and only that one.
        fc.pre(!(index === 31 && change === 0x80));
        const changed = bytes.map((byte, at) => (at === index ? byte ^ change : byte));
        expect(() => decryptEnvironment(bytesToHex(changed), recipientPrivateKey)).to.throw(EnvironmentDecryptionError);
      }),
      { numRuns: 60 },
    );
    const { payload } = deterministic;
    for (const damaged of ["zz", payload.slice(1), payload.slice(2), payload.slice(0, -2), `${payload}00`]) {
      expect(() => decryptEnvironment(damaged, recipientPrivateKey)).to.throw(EnvironmentDecryptionError);
    }
    expect(() => decryptEnvironment(payload, "08".repeat(32))).to.throw(EnvironmentDecryptionError);
  });

  it("fails to decrypt when it is too short", () => {
    for (const bytes of [0, 31, 59]) {
      expect(() => decryptEnvironment(deterministic.payload.slice(0, bytes * 2), recipientPrivateKey))
        .to.throw(EnvironmentDecryptionError)
        .with.property("context")
        .that.deep.equals({ bytes, minimumBytes: 60 });
    }
  });

  const kibibytes = (count: number) => "s".repeat(count * 1024);
  const many = (count: number, value: string) =>
    Array.from({ length: count }, (_, index) => ({ key: `N${index}`, value }));
  const limits: readonly (readonly [string, EnvironmentVariable[], EnvironmentVariable[]])[] = [
    ["a value", [{ key: "A", value: kibibytes(128) }], [{ key: "A", value: `${kibibytes(128)}s` }]],
    ["a value in bytes", [{ key: "A", value: "ü".repeat(65_536) }], [{ key: "A", value: "ü".repeat(65_537) }]],
    ["a name", [{ key: "A".repeat(255), value: "" }], [{ key: "A".repeat(256), value: "" }]],
    ["names", many(1024, ""), many(1025, "")],
    ["bytes in all", many(8, kibibytes(127)), many(8, kibibytes(128))],
  ];
  for (const [what, largest, tooLarge] of limits)
    it(`accepts the largest number of ${what} that the guest accepts, and refuses more`, () => {
      expect(decryptEnvironment(encryptWith(largest), recipientPrivateKey)).to.deep.equal(largest);
      expect(() => encryptWith(tooLarge)).to.throw(InvalidEnvironmentError, /but the guest accepts at most/);
    });

  it("refuses keys of a wrong length", () => {
    for (const key of [
      "",
      recipientPublicKey.slice(2),
      `${recipientPublicKey}00`,
      `zz${recipientPublicKey.slice(2)}`,
    ]) {
      expect(() => encryptEnvironment(variables, key)).to.throw(InvalidHexError);
      expect(() => decryptEnvironment(deterministic.payload, key)).to.throw(InvalidHexError);
    }
  });

  it("refuses keys of low order on both sides", () => {
    for (const key of lowOrderKeys) {
      expect(() => encryptEnvironment(variables, key), key).to.throw(InvalidEnvironmentError);
      const payload = key + deterministic.payload.slice(64);
      expect(() => decryptEnvironment(payload, recipientPrivateKey), key).to.throw(EnvironmentDecryptionError);
    }
  });

  it("refuses invalid and repeated names and half surrogate pairs, without quoting values", () => {
    const wrong: readonly EnvironmentVariable[][] = [
      [{ key: "", value: "s3cr3t" }],
      [{ key: "1A", value: "s3cr3t" }],
      [{ key: "s3cr3t=", value: "s3cr3t" }],
      [
        { key: "A", value: "s3cr3t" },
        { key: "A", value: "s3cr3t" },
      ],
      [{ key: "A", value: "s3cr3t\ud800" }],
      [{ key: "A", value: "s3cr3t\0" }],
    ];
    for (const environment of wrong) expectRefusal(() => encryptEnvironment(environment, recipientPublicKey));
  });
});

describe("decrypted environment", () => {
  it("is read with Python's spaces and escapes, and when it is empty", () => {
    const text = '{ "env": [{"key": "A", "value": "caf\\u00e9"}, {"value": "", "key": "a.b"}] }\n';
    expect(decryptEnvironment(seal(text), recipientPrivateKey)).to.deep.equal([
      { key: "A", value: "café" },
      { key: "a.b", value: "" },
    ]);
    expect(decryptEnvironment(seal('{"env":[]}'), recipientPrivateKey)).to.deep.equal([]);
  });

  const wrong = [
    "",
    "s3cr3t",
    "null",
    "[]",
    '{"A":"s3cr3t"}',
    '{"env":{}}',
    '{"env":[],"more":1}',
    '{"env":["s3cr3t"]}',
    '{"env":[{"key":"A"}]}',
    '{"env":[{"key":"A","value":1}]}',
    '{"env":[{"key":"A","value":null}]}',
    '{"env":[{"key":"A","value":"s3cr3t","x":1}]}',
  ];
  for (const text of wrong) {
    it(`is refused when it is ${text === "" ? "nothing" : text}`, () => {
      expectRefusal(() => decryptEnvironment(seal(text), recipientPrivateKey));
    });
  }

  it("is refused when it is not UTF-8", () => {
    const bytes = new TextEncoder().encode('{"env":[{"key":"A","value":"?"}]}');
    bytes[bytes.indexOf("?".charCodeAt(0))] = 0xff;
    expectRefusal(() => decryptEnvironment(seal(bytes), recipientPrivateKey));
  });
});

function encryptWith(environment: readonly EnvironmentVariable[]): string {
  return encryptEnvironmentWith(environment, recipientPublicKey, {
    ephemeralPrivateKey: hexToBytes(`0x${deterministic.ephemeralPrivateKey}`),
    iv: hexToBytes(`0x${deterministic.iv}`),
  });
}

/** Encrypts any plaintext to the recipient, as another client might. */
function seal(plaintext: string | Uint8Array): string {
  const ephemeral = hexToBytes(`0x${deterministic.ephemeralPrivateKey}`);
  const iv = new Uint8Array(12);
  const secret = x25519.getSharedSecret(ephemeral, hexToBytes(`0x${recipientPublicKey}`));
  const bytes = typeof plaintext === "string" ? new TextEncoder().encode(plaintext) : plaintext;
  return bytesToHex(Uint8Array.from([...x25519.getPublicKey(ephemeral), ...iv, ...gcm(secret, iv).encrypt(bytes)]));
}

function expectRefusal(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    expect(error).to.be.instanceOf(InvalidEnvironmentError);
    expect(`${(error as Error).stack} ${JSON.stringify(error)} ${String((error as Error).cause)}`).not.to.include(
      "s3cr3t",
    );
    return;
  }
  expect.fail("nothing was refused");
}
