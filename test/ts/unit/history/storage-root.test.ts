import { createMPT } from "@ethereumjs/mpt";
import { expect } from "chai";
import fc from "fast-check";
import { bytesToHex, type Hex, hexToBytes, numberToHex, toRlp } from "viem";
import { trieRoot } from "../../../../src/history/storage-root.ts";

type Entries = readonly (readonly [slot: Hex, value: Hex])[];

async function rootByLibrary(entries: Entries): Promise<Hex> {
  const trie = await createMPT({ useKeyHashing: true });
  for (const [slot, value] of entries) await trie.put(hexToBytes(slot), hexToBytes(value));
  return bytesToHex(trie.root());
}

const word = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytesToHex(bytes));
const value = fc
  .uint8Array({ minLength: 1, maxLength: 32 })
  .filter(([first]) => first !== 0)
  .map((bytes) => toRlp(bytesToHex(bytes)));

describe("trieRoot", () => {
  it("is the root that a library for tries computes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(word, value), { maxLength: 60, selector: ([slot]) => slot }),
        async (entries) => {
          expect(trieRoot(entries)).to.equal(await rootByLibrary(entries));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("is that root for many entries, in any order", async () => {
    const entries: Entries = Array.from({ length: 3_000 }, (_, slot) => [
      numberToHex(slot, { size: 32 }),
      toRlp(numberToHex(slot % 7 === 0 ? 2n ** 255n + BigInt(slot) : 1)),
    ]);
    const expected = await rootByLibrary(entries);
    expect(trieRoot(entries)).to.equal(expected);
    expect(trieRoot(entries.toReversed())).to.equal(expected);
    expect(trieRoot(entries.slice(1))).to.not.equal(expected);
  });
});
