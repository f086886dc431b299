import { expect } from "chai";
import { hexToBytes } from "viem";
import { decryptEnvironment, encryptEnvironment, encryptEnvironmentWith } from "../../../../src/core/environment.ts";
import published from "../../../support/vectors/environment.json" with { type: "json" };

const { recipientPrivateKey, recipientPublicKey, variables, fromCloudSdk, deterministic } = published;

describe("environment encryption", () => {
  it("gives the published payload for the published randomness", () => {
    const payload = encryptEnvironmentWith(variables, recipientPublicKey, {
      ephemeralPrivateKey: hexToBytes(`0x${deterministic.ephemeralPrivateKey}`),
      iv: hexToBytes(`0x${deterministic.iv}`),
    });
    expect(payload).to.equal(deterministic.payload);
  });

  it("opens both published payloads, with and without 0x", () => {
    for (const payload of [fromCloudSdk, `0x${fromCloudSdk}`, deterministic.payload]) {
      expect(decryptEnvironment(payload, recipientPrivateKey)).to.deep.equal(variables);
    }
  });

  it("never gives the same payload twice", () => {
    const payloads = [1, 2].map(() => encryptEnvironment(variables, recipientPublicKey));
    expect(payloads[0]).not.to.equal(payloads[1]);
    for (const payload of payloads) expect(decryptEnvironment(payload, recipientPrivateKey)).to.deep.equal(variables);
  });
});
