import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { parseAppId } from "../../../../src/core/ids.ts";
import { removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { findMentions, readQueued } from "../../../../src/prune/allowlist-use.ts";
import { hashNumber } from "../../../support/prune/allowlist-use.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const hash = hashNumber(0xabc);
const { data } = removeComposeHashCall({ appId: parseAppId("a0".repeat(20)), composeHash: hash });
const mentions = async (raw: string) => findMentions((await readQueued(raw)).text, [hash, hashNumber(1)]);

describe("readQueued", () => {
  const directory = useTemporaryDirectory();
  const path = () => join(directory.path, "queued.json");

  it("accepts a bare hash and calldata of any length, in any letter case", async () => {
    const long = `${data}${"00".repeat(300)}${hash.slice(2)}`;
    const atTheEnd = `0x${"00".repeat(300)}${hash.slice(2)}`;
    for (const raw of [hash, data, long, atTheEnd, `0x${hash.slice(2).toUpperCase()}`])
      expect(await mentions(raw), raw).to.deep.equal([hash]);
    const { source } = await readQueued(long);
    expect(source.length).to.be.lessThan(30);
    expect(long.startsWith(source.replace("…", ""))).to.equal(true);
  });

  it("accepts a file, and names it by its path", async () => {
    await writeFile(path(), JSON.stringify({ transactions: [{ to: "0x12", data }] }));
    expect(await mentions(path())).to.deep.equal([hash]);
    expect((await readQueued(path())).source).to.equal(path());
  });

  it("refuses text without a hash, because the user expects protection", async () => {
    await writeFile(path(), '{"transactions":[]}');
    for (const raw of [path(), join(directory.path, "none.json"), "0x1234", hash.slice(0, -1), directory.path])
      await catchError(readQueued(raw), InvalidArgumentError);
  });
});
