import { expect } from "chai";
import { getAddress } from "viem";
import { parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, setAllowAnyDeviceCall } from "../../../../src/core/owner-calls.ts";
import { buildTransactionBuilderFile, checksumOf } from "../../../../src/core/safe-builder-file.ts";

const appId = parseAppId("ab".repeat(20));
const composeHash = parseComposeHash("cd".repeat(32));
const safe = getAddress(`0x${"12".repeat(20)}`);

describe("the Transaction Builder's file", () => {
  it("has the checksum the Safe app gives", () => {
    // A file the app itself exported.
    const exported = {
      version: "1.0",
      chainId: "1",
      createdAt: 1761326849944,
      meta: {
        name: "Transactions Batch",
        description: "",
        txBuilderVersion: "1.18.2",
        createdFromSafeAddress: "0xA77DE01e157f9f57C7c4A326eeE9C4874D0598b6",
        createdFromOwnerAddress: "",
        checksum: "0x8b5032f716845c8b08bab3d63dbd9ba92e056f3557793cd041e59b84e16aa989",
      },
      transactions: [
        {
          to: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
          value: "0",
          data: null,
          contractMethod: {
            inputs: [
              { internalType: "address", name: "spender", type: "address" },
              { internalType: "uint256", name: "value", type: "uint256" },
            ],
            name: "approve",
            payable: false,
          },
          contractInputsValues: { spender: "0x474e5Ded6b5D078163BFB8F6dBa355C3aA5478C8", value: "100000000000" },
        },
      ],
    };
    expect(checksumOf(exported)).to.equal(exported.meta.checksum);
    expect(checksumOf({ ...exported, meta: { ...exported.meta, name: "Another name" } })).to.equal(
      exported.meta.checksum,
    );
    expect(checksumOf({ ...exported, chainId: "8453" })).to.not.equal(exported.meta.checksum);
  });

  it("describes each call for the Safe app, beside the bytes that the owners sign", () => {
    const calls = [addComposeHashCall({ appId, composeHash }), setAllowAnyDeviceCall({ appId, allowAny: false })];
    const file = buildTransactionBuilderFile({ calls, chainId: 8453, safe, name: "Update", createdAt: 5 });
    expect(checksumOf(file)).to.equal(file.meta.checksum);
    expect(JSON.parse(JSON.stringify(file))).to.deep.equal({
      version: "1.0",
      chainId: "8453",
      createdAt: 5,
      meta: {
        name: "Update",
        description: `allow compose hash ${composeHash} on ${appId}; allow listed devices only on ${appId}`,
        txBuilderVersion: "1.18.2",
        createdFromSafeAddress: safe,
        createdFromOwnerAddress: "",
        checksum: file.meta.checksum,
      },
      transactions: [
        {
          to: getAddress(appId),
          value: "0",
          data: calls[0]?.data,
          contractMethod: {
            inputs: [{ internalType: "bytes32", name: "composeHash", type: "bytes32" }],
            name: "addComposeHash",
            payable: false,
          },
          contractInputsValues: { composeHash },
        },
        {
          to: getAddress(appId),
          value: "0",
          data: calls[1]?.data,
          contractMethod: {
            inputs: [{ internalType: "bool", name: "allowAny", type: "bool" }],
            name: "setAllowAnyDevice",
            payable: false,
          },
          contractInputsValues: { allowAny: "false" },
        },
      ],
    });
  });
});
