import { readFileSync } from "node:fs";
import { expect } from "chai";
import { compareLayouts, type LayoutEntry, readCompiledLayout } from "../../../../scripts/support/storage-layout.ts";

/** The published table, which the committed files must not leave even with everyone's consent. */
const PUBLISHED = {
  DstackApp: [
    "0+0 mapping(bytes32 => bool)",
    "1+0 bool",
    "1+1 bool",
    "2+0 mapping(bytes32 => bool)",
    "3+0 bool",
    "4+0 uint256[49]",
  ],
  DstackKms: [
    "0+0 bytes",
    "1+0 bytes",
    "2+0 bytes",
    "3+0 bytes",
    "4+0 string",
    "5+0 mapping(address => bool)",
    "6+0 mapping(bytes32 => bool)",
    "7+0 mapping(bytes32 => bool)",
    "8+0 mapping(bytes32 => bool)",
    "9+0 address",
    "10+0 uint256[50]",
  ],
} as const;

function committedLayout(contract: string): LayoutEntry[] {
  return JSON.parse(readFileSync(`contracts/layout/${contract}.json`, "utf8"));
}

describe("storage layout", () => {
  for (const contract of ["DstackApp", "DstackKms"] as const) {
    it(`of ${contract} is the committed one`, () => {
      expect(compareLayouts(committedLayout(contract), readCompiledLayout(contract))).to.deep.equal([]);
    });

    it(`of ${contract} is the published table`, () => {
      const places = readCompiledLayout(contract).map(({ slot, offset, type }) => `${slot}+${offset} ${type}`);
      expect(places).to.deep.equal(PUBLISHED[contract]);
    });
  }

  it("differs when two variables of one type trade places", () => {
    const layout = committedLayout("DstackKms");
    const swapped = layout.map((entry) => {
      if (entry.label === "kmsAllowedDeviceIds") return { ...entry, label: "allowedOsImages" };
      if (entry.label === "allowedOsImages") return { ...entry, label: "kmsAllowedDeviceIds" };
      return entry;
    });
    expect(compareLayouts(layout, swapped)).to.have.length(4);
  });

  it("differs when a flag moves within its slot", () => {
    const layout = committedLayout("DstackApp");
    const moved = layout.map((entry) => (entry.label === "allowAnyDevice" ? { ...entry, offset: 2 } : entry));
    expect(compareLayouts(layout, moved)).to.deep.equal([
      "- slot 1, byte 1: bool allowAnyDevice",
      "+ slot 1, byte 2: bool allowAnyDevice",
    ]);
  });
});
