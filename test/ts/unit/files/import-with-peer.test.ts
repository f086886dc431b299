import { createRequire } from "node:module";
import { expect } from "chai";
import { MissingPackageError } from "../../../../src/errors/index.ts";
import { importWithPeer } from "../../../../src/files/import-with-peer.ts";
import { rejection } from "../../../support/rejection.ts";

describe("importWithPeer", () => {
  const missing = { entry: "A local Safe 9.9.9", peer: "@safe-global/no-such-package" };

  it("names the package and the release to install", async () => {
    const error = await rejection(
      importWithPeer({ ...missing, file: "package.json", release: "9.9.9" }, async () => 1),
    );
    expect(error).to.be.instanceOf(MissingPackageError);
    const { message, nextStep } = error as MissingPackageError;
    expect(message).to.contain(missing.entry).and.to.contain(missing.peer);
    expect(nextStep).to.contain("npm install -D @safe-global/no-such-package@9.9.9");
  });

  it("recognises a file of the package that `require` does not find", async () => {
    const peer = "@safe-global/safe-smart-account";
    const load = async () => createRequire(import.meta.url)(`${peer}/build/no-such-file.json`);
    const error = await rejection(importWithPeer({ ...missing, peer, file: "package.json" }, load));
    expect(error).to.be.instanceOf(MissingPackageError);
  });

  it("returns what was loaded, also from a package that cannot be imported itself", async () => {
    const peer = "@safe-global/safe-contracts";
    expect(await importWithPeer({ entry: "x", peer, file: "package.json" }, async () => 7)).to.equal(7);
  });
});
