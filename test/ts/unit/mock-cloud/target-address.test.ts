import type { LookupAddress } from "node:dns";
import { expect } from "chai";
import { isForbiddenHost, lookupAllowed } from "../../../../src/mock-cloud/webhooks/target-address.ts";

describe("the address a webhook's name resolves to", () => {
  /** The result for a connection, by name or by the address of a resolver. */
  const resolve = (name: string, all: boolean) =>
    new Promise<{ error: Error | null; address: string | LookupAddress[] }>((done) => {
      lookupAllowed(name, { all }, (error, address) => done({ error, address }));
    });

  it("is checked when the connection is made, independent of earlier answers", async () => {
    for (const all of [true, false]) {
      for (const address of ["169.254.169.254", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0"]) {
        const { error } = await resolve(address, all);
        expect(error?.message, address).to.include("not a public address");
      }
    }
  });

  it("is allowed when it is loopback or public", async () => {
    expect(await resolve("127.0.0.1", false)).to.deep.equal({ error: null, address: "127.0.0.1" });
    const { address } = await resolve("localhost", true);
    expect(address).to.be.an("array").that.is.not.empty;
    expect((await resolve("2606:4700::1111", false)).error).to.equal(null);
  });

  it("is read from the URL when the host is an address", () => {
    for (const host of [
      "example.com",
      "1.1.1.1",
      "100.128.0.1",
      "172.32.0.1",
      "[::1]",
      "[2606:4700::1111]",
      "[::ffff:127.0.0.1]",
      "[2002:101:101::1]",
      "[::127.0.0.1]",
      "[::1.1.1.1]",
      "[2606:4700::5efe:1.1.1.1]",
    ]) {
      expect(isForbiddenHost(host), host).to.equal(false);
    }
  });

  it("is refused in the ranges for documentation, and as Azure's platform service", () => {
    for (const host of [
      "168.63.129.16",
      "192.0.2.0",
      "192.0.2.255",
      "198.51.100.1",
      "203.0.113.1",
      "[2001:db8::1]",
      "[2001:db8:ffff::1]",
      "[::ffff:168.63.129.16]",
    ]) {
      expect(isForbiddenHost(host), host).to.equal(true);
    }
    for (const host of ["168.63.129.15", "192.0.3.1", "198.51.101.1", "203.0.114.1", "[2001:db9::1]"]) {
      expect(isForbiddenHost(host), host).to.equal(false);
    }
  });

  it("is refused when an IPv6 address contains a private IPv4 address, in each notation", () => {
    for (const host of [
      "[::10.0.0.1]",
      "[::a9fe:a9fe]",
      "[0:0:0:0:0:0:192.168.0.1]",
      "[::2]",
      "[::]",
      "[::ffff:10.0.0.1]",
      "[::ffff:0:10.0.0.1]",
      "[64:ff9b::10.0.0.1]",
      "[2002:a00:1::1]",
      "[2606:4700::5efe:10.0.0.1]",
      "[2606:4700::200:5efe:169.254.169.254]",
    ]) {
      expect(isForbiddenHost(host), host).to.equal(true);
    }
  });
});
