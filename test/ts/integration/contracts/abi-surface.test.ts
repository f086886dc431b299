import { expect } from "chai";
import { artifacts } from "hardhat";
import type { Abi, AbiEvent, AbiFunction } from "viem";
import { toEventSelector, toFunctionSelector, toFunctionSignature } from "viem";

// Everything a client written for the deployed contracts can reach, selectors and topics as literals. The lists
// are complete: a missing entry breaks clients, and a new one needs a decision.

const BOOT_INFO = "(address,bytes32,address,bytes32,bytes32,bytes32,bytes32,string,string[])";

const INHERITED_FUNCTIONS = [
  "0x01ffc9a7 supportsInterface(bytes4) view (bool)",
  "0x4f1ef286 upgradeToAndCall(address,bytes) payable ()",
  "0x52d1902d proxiableUUID() view (bytes32)",
  "0x715018a6 renounceOwnership() nonpayable ()",
  "0x79ba5097 acceptOwnership() nonpayable ()",
  "0x8da5cb5b owner() view (address)",
  "0xad3cb1cc UPGRADE_INTERFACE_VERSION() view (string)",
  "0xe30c3978 pendingOwner() view (address)",
  "0xf2fde38b transferOwnership(address) nonpayable ()",
];

const INHERITED_EVENTS = [
  "0x38d16b8cac22d99fc7c124b9cd0de2d3fa1faef420bfe791d8c362d765e22700 OwnershipTransferStarted(address indexed,address indexed)",
  "0x8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0 OwnershipTransferred(address indexed,address indexed)",
  "0xbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b Upgraded(address indexed)",
  "0xc7f505b2f371ae2175ee4913f4499e1f2633a7b5936321eed1cdaeb6115181d2 Initialized(uint64)",
  "0x341d3bc64e32172fc5bcf27b0f7f69dc5adc19af64b7aa1dee361e5883c32375 PolicyChanged(address indexed,bytes32 indexed,bytes32 indexed,bool)",
];

const SURFACE = {
  DstackApp: {
    functions: [
      ...INHERITED_FUNCTIONS,
      "0x0aa58c83 requireTcbUpToDate() view (bool)",
      "0x187515ca initialize(address,bool,bool,bytes32,bytes32) nonpayable ()",
      "0x1d266200 removeDevice(bytes32) nonpayable ()",
      `0x1e079198 isAppAllowed(${BOOT_INFO}) view (bool,string)`,
      "0x2a819728 addDevice(bytes32) nonpayable ()",
      "0x2f6622e5 allowedComposeHashes(bytes32) view (bool)",
      "0x3440a16a allowAnyDevice() view (bool)",
      "0x54fd4d50 version() pure (uint256)",
      "0x67b3f22c removeComposeHash(bytes32) nonpayable ()",
      "0x6e4c7422 setRequireTcbUpToDate(bool) nonpayable ()",
      "0x7c4beeb8 setAllowAnyDevice(bool) nonpayable ()",
      "0x9ed28193 initialize(address,bool,bool,bool,bytes32,bytes32) nonpayable ()",
      "0xbf8b211b allowedDeviceIds(bytes32) view (bool)",
      "0xdfc77223 addComposeHash(bytes32) nonpayable ()",
      "0xec669036 disableUpgrades() nonpayable ()",
    ],
    events: [
      ...INHERITED_EVENTS,
      "0x0e5daa943fcd7e7182d0e893d180695c2ea9f6f1b4a1c5432faf14cf17b774e8 UpgradesDisabled()",
      "0x67fc71ab96fe3fa3c6f78e9a00e635d591b7333ce611c0380bc577aac702243b DeviceAdded(bytes32)",
      "0x755b79bd4b0eeab344d032284a99003b2ddc018b646752ac72d681593a6e8947 ComposeHashRemoved(bytes32)",
      "0xafae60561b2481a349b45b3a47357f70eef6ae67e5b6e1749d74de7f19a25aa1 RequireTcbUpToDateSet(bool)",
      "0xbb2cdb6c7b362202d40373f87bc4788301cca658f91711ac1662e1ad2cba4a20 AllowAnyDeviceSet(bool)",
      "0xe0862975ac517b0478d308012afabc4bc37c23874a18144d7f2dfb852ff95c2c DeviceRemoved(bytes32)",
      "0xfecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af ComposeHashAdded(bytes32)",
    ],
  },
  DstackKms: {
    functions: [
      ...INHERITED_FUNCTIONS,
      "0x06a3ae96 addOsImageHash(bytes32) nonpayable ()",
      "0x09177063 kmsInfo() view (bytes,bytes,bytes,bytes)",
      "0x13eb9770 kmsAllowedDeviceIds(bytes32) view (bool)",
      "0x17a1d80f registerApp(address) nonpayable ()",
      "0x18c1ecb2 setKmsQuote(bytes) nonpayable ()",
      `0x1e079198 isAppAllowed(${BOOT_INFO}) view (bool,string)`,
      "0x25a992da appImplementation() view (address)",
      "0x2adee48d removeKmsAggregatedMr(bytes32) nonpayable ()",
      "0x3971db27 setGatewayAppId(string) nonpayable ()",
      "0x3ceaaa11 setAppImplementation(address) nonpayable ()",
      "0x3e32d346 addKmsAggregatedMr(bytes32) nonpayable ()",
      "0x485cc955 initialize(address,address) nonpayable ()",
      "0x4d5922a1 addKmsDevice(bytes32) nonpayable ()",
      "0x736ede7a setKmsEventlog(bytes) nonpayable ()",
      "0x7d025352 setKmsInfo((bytes,bytes,bytes,bytes)) nonpayable ()",
      "0x8618169d deployAndRegisterApp(address,bool,bool,bytes32,bytes32) nonpayable (address)",
      "0x9425bac6 removeOsImageHash(bytes32) nonpayable ()",
      "0x95f51931 gatewayAppId() view (string)",
      "0x9a4e1d18 allowedOsImages(bytes32) view (bool)",
      "0x9cb9c31f deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32) nonpayable (address)",
      "0x9e6f3114 removeKmsDevice(bytes32) nonpayable ()",
      "0xa6c4cce9 registeredApps(address) view (bool)",
      `0xe067ec9d isKmsAllowed(${BOOT_INFO}) view (bool,string)`,
      "0xf6fe4f40 kmsAllowedAggregatedMrs(bytes32) view (bool)",
    ],
    events: [
      ...INHERITED_EVENTS,
      "0x08bb433f12b5fd81d2d5e0deeb3b4d28371781ddbd80e9d053e7468d2b1aa82d AppImplementationSet(address)",
      "0x0d540ad8f39e07d19909687352b9fa017405d93c91a6760981fbae9cf28bfef7 AppRegistered(address)",
      "0x1a9888a45e3df8b7e6bb3090747d598d2a0d78e61388161a90799f54df8f4434 KmsDeviceRemoved(bytes32)",
      "0x4911843506849c85a5ca6e6e2c01eed2d3ab86baba619517a2aad9d5ab2aeff2 OsImageHashAdded(bytes32)",
      "0x54cd662e41eec7ddf0f32f034b2533e481b471dd3ea978222d609ec8fffb1bb0 KmsAggregatedMrRemoved(bytes32)",
      "0x5b2b64f770ea5266055ebd3ebf205ef06cbfa738e62684edf0e28356e34acf06 GatewayAppIdSet(string)",
      "0x68615a0b92795750b3d180ff73429e1291d225e449eee954a567b91104fd9837 KmsAggregatedMrAdded(bytes32)",
      "0x77cdad119a452bbd96c45635758fc4af8a6bde3deaccf3fada634ddf9a162706 KmsInfoSet(bytes)",
      "0x99b3cee95daf3138d0c982299cd0264f5b7a61aa629b42b92f3ec8966aa7f6fe OsImageHashRemoved(bytes32)",
      "0xf2b290637b1193e12eb38ab32b986303639b1687cc2cd1e25f993e6eae2f4041 KmsDeviceAdded(bytes32)",
      "0xfd86d7f6962eba3b7a3bf9129c06c0b2f885e1c61ef2c9f0dbb856be0deefdee AppDeployedViaFactory(address indexed,address indexed)",
    ],
  },
} as const;

describe("ABI surface", () => {
  for (const contract of ["DstackApp", "DstackKms"] as const) {
    it(`of ${contract}: exactly the published functions`, async () => {
      const { abi } = await artifacts.readArtifact(contract);
      const functions = (abi as Abi).filter((item) => item.type === "function").map(describeFunction);
      expect(functions).to.have.members(SURFACE[contract].functions);
    });

    it(`of ${contract}: exactly the published events`, async () => {
      const { abi } = await artifacts.readArtifact(contract);
      const events = (abi as Abi).filter((item) => item.type === "event").map(describeEvent);
      expect(events).to.have.members(SURFACE[contract].events);
    });

    it(`of ${contract}: no fallback and no receive`, async () => {
      const { abi } = await artifacts.readArtifact(contract);
      expect((abi as Abi).filter((item) => item.type === "fallback" || item.type === "receive")).to.deep.equal([]);
    });
  }
});

function describeFunction(item: AbiFunction): string {
  const outputs = item.outputs.map((output) => output.type).join();
  return `${toFunctionSelector(item)} ${toFunctionSignature(item)} ${item.stateMutability} (${outputs})`;
}

function describeEvent(item: AbiEvent): string {
  const inputs = item.inputs.map((input) => (input.indexed ? `${input.type} indexed` : input.type)).join();
  return `${toEventSelector(item)} ${item.name}(${inputs})`;
}
