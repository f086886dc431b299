import { readFileSync } from "node:fs";
import { expect } from "chai";
import {
  compareLayouts,
  type LayoutEntry,
  layoutContracts,
  readCompiledLayout,
} from "../../../../scripts/support/storage-layout.ts";

const KMS_IDENTITY = ["0+0 bytes", "1+0 bytes", "2+0 bytes", "3+0 bytes", "4+0 string"];
const KMS_LISTS = ["6+0 mapping(bytes32 => bool)", "7+0 mapping(bytes32 => bool)", "8+0 mapping(bytes32 => bool)"];
const KMS_V054 = [...KMS_IDENTITY, "5+0 mapping(address => bool)", ...KMS_LISTS, "9+0 address", "10+0 uint256[50]"];

/** The layouts of published releases, which the committed files must never change. */
const PUBLISHED: Readonly<Record<string, readonly string[]>> = {
  DstackApp: [
    "0+0 mapping(bytes32 => bool)",
    "1+0 bool",
    "1+1 bool",
    "2+0 mapping(bytes32 => bool)",
    "3+0 bool",
    "4+0 uint256[49]",
  ],
  DstackKms: KMS_V054,
  AppAuthV042: [
    "0+0 address",
    "1+0 mapping(bytes32 => bool)",
    "2+0 bool",
    "2+1 bool",
    "3+0 mapping(bytes32 => bool)",
    "4+0 uint256[50]",
  ],
  DstackAppV054: [
    "0+0 mapping(bytes32 => bool)",
    "1+0 bool",
    "1+1 bool",
    "2+0 mapping(bytes32 => bool)",
    "3+0 uint256[50]",
  ],
  DstackAppV059: [
    "0+0 mapping(bytes32 => bool)",
    "1+0 bool",
    "1+1 bool",
    "2+0 mapping(bytes32 => bool)",
    "3+0 bool",
    "4+0 uint256[49]",
  ],
  KmsAuthV042: [
    ...KMS_IDENTITY,
    "5+0 mapping(address => struct AppControllers.AppConfig)",
    ...KMS_LISTS,
    "9+0 mapping(address => uint256)",
    "10+0 address",
    "11+0 uint256[50]",
  ],
  DstackKmsV054: KMS_V054,
  DstackKmsV059: KMS_V054,
};

function committedLayout(contract: string): LayoutEntry[] {
  return JSON.parse(readFileSync(`contracts/layout/${contract}.json`, "utf8"));
}

describe("storage layout", () => {
  it("is checked for every contract with a table", () => {
    expect(Object.keys(layoutContracts)).to.have.members(Object.keys(PUBLISHED));
  });

  for (const contract of Object.keys(PUBLISHED)) {
    it(`of ${contract} is the committed one`, () => {
      expect(compareLayouts(committedLayout(contract), readCompiledLayout(contract))).to.deep.equal([]);
    });

    it(`of ${contract} is the published table`, () => {
      const places = readCompiledLayout(contract).map(({ slot, offset, type }) => `${slot}+${offset} ${type}`);
      expect(places).to.deep.equal(PUBLISHED[contract]);
    });
  }

  it("differs when two variables of one type are swapped", () => {
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
