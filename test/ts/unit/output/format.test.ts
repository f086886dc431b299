import { expect } from "chai";
import type { ReadOwnerReturnType } from "../../../../src/chain/read-owner.ts";
import { parseComposeHash, parseTransactionHash } from "../../../../src/core/ids.ts";
import { ownerFunctions } from "../../../../src/core/owner-calls.ts";
import { chainDefinition } from "../../../../src/hardhat/connect.ts";
import type { PolicyChangeContent } from "../../../../src/history/policy.ts";
import {
  describeCalls,
  describeChange,
  describeOwner,
  describeOwnerFully,
  explorerLink,
  listValues,
} from "../../../../src/output/format.ts";
import { formatResult } from "../../../../src/output/price.ts";

const address = `0x${"0e".repeat(20)}` as const;
const hash = `0x${"ab".repeat(32)}` as const;

describe("the description of an owner", () => {
  const owners: readonly [ReadOwnerReturnType, string][] = [
    [{ address, kind: "renounced" }, "none: the ownership was renounced"],
    [{ address, kind: "eoa", isUsed: true, delegatedTo: undefined }, "one key"],
    [{ address, kind: "eoa", isUsed: false, delegatedTo: undefined }, "one key, never used on this chain"],
    [{ address, kind: "eoa", isUsed: true, delegatedTo: address }, `one key, delegates to ${address} (EIP-7702)`],
    [{ address, kind: "timelock", minDelaySeconds: 0n }, "timelock without a delay"],
    [{ address, kind: "timelock", minDelaySeconds: 90n }, "timelock, delay 1 minute 30 seconds"],
    [{ address, kind: "timelock", minDelaySeconds: 9_000n }, "timelock, delay 2 hours 30 minutes"],
    [{ address, kind: "timelock", minDelaySeconds: 172_800n }, "timelock, delay 2 days"],
    [{ address, kind: "contract" }, "a contract, neither a Safe nor a timelock"],
  ];
  for (const [owner, words] of owners) {
    it(`says "${words}"`, () => expect(describeOwner(owner)).to.equal(words));
  }

  it("has the full addresses of a Safe's owners", () => {
    const safe = {
      address,
      kind: "safe",
      version: "1.4.1",
      threshold: 2n,
      owners: [address, address],
      nonce: 0n,
    } as const;
    expect(describeOwnerFully(safe)).to.equal(`${address}  Safe 1.4.1, 2 of 2 owners\n    ${address}\n    ${address}`);
  });
});

describe("describeChange", () => {
  const origin = { blockNumber: 1n, blockHash: hash, logIndex: 0, transactionHash: parseTransactionHash(hash) };
  const words = (content: PolicyChangeContent) => describeChange({ ...content, ...origin });

  it("distinguishes added from removed, and on from off", () => {
    const composeHash = parseComposeHash(hash);
    expect(words({ kind: "composeHashAdded", composeHash })).to.equal(`allowed compose hash ${hash}`);
    expect(words({ kind: "composeHashRemoved", composeHash })).to.equal(`removed compose hash ${hash}`);
    expect(words({ kind: "allowAnyDeviceSet", enabled: true })).to.equal("allowed any device");
    expect(words({ kind: "allowAnyDeviceSet", enabled: false })).to.equal("allowed listed devices only");
  });

  it("distinguishes a renouncement from a transfer", () => {
    expect(words({ kind: "ownershipTransferred", from: address, to: address })).to.include(`made ${address} the owner`);
    const to = `0x${"00".repeat(20)}` as const;
    expect(words({ kind: "ownershipTransferred", from: address, to })).to.equal("renounced the ownership");
  });
});

describe("the last line of a task", () => {
  const calls = (...names: string[]) => names.map((functionName) => ({ functionName, args: [hash] }));

  it("has the verb, the object and the result", () => {
    const what = describeCalls(calls("removeComposeHash", "removeComposeHash"));
    const transaction = { gasUsed: 63_492n, costWei: 124_000_000_000_000n };
    expect(formatResult(what, [transaction])).to.equal(
      "Removed 2 compose hashes in 1 transaction (63,492 gas, 0.000124 ETH).",
    );
    expect(formatResult(what, [transaction, transaction])).to.equal(
      "Removed 2 compose hashes in 2 transactions (126,984 gas, 0.000248 ETH).",
    );
  });

  it("lists each kind of change, and names a function that has no words", () => {
    expect(describeCalls(calls("addComposeHash", "removeComposeHash", "removeComposeHash"))).to.equal(
      "Allowed 1 compose hash, removed 2 compose hashes",
    );
    expect(describeCalls(calls("addKmsDevice"))).to.equal("Allowed 1 KMS device");
    expect(describeCalls(calls("unknownFunction"))).to.equal("Called unknownFunction");
  });

  it("has words for every function that an owner can call", () => {
    const names = Object.values(ownerFunctions).flatMap((functions) => Object.keys(functions));
    for (const name of names) expect(describeCalls(calls(name))).to.not.match(/^Called /);
    const toggled = [true, false].map((isOn) => describeCalls([{ functionName: "setAllowAnyDevice", args: [isOn] }]));
    expect(toggled).to.deep.equal(["Allowed any device", "Allowed only the listed devices"]);
  });

  it("is followed by each value, with its verb if there are several", () => {
    expect(listValues(calls("addDevice", "addDevice"))).to.deep.equal([hash, hash]);
    expect(listValues(calls("addDevice", "removeComposeHash"))).to.deep.equal([`allowed  ${hash}`, `removed  ${hash}`]);
    expect(listValues([{ functionName: "setAllowAnyDevice", args: [true] }])).to.deep.equal([]);
    const transaction = { gasUsed: 54_172n, costWei: 107_000_000_000_000n };
    expect(formatResult("Allowed 1 device", [transaction], [hash])).to.equal(
      `Allowed 1 device in 1 transaction (54,172 gas, 0.000107 ETH):\n  ${hash}`,
    );
    expect(formatResult("Allowed 1 device", [], [hash])).to.equal(`Allowed 1 device before this run:\n  ${hash}`);
  });
});

describe("explorerLink", () => {
  it("is a link on a known chain, and undefined on a chain of this machine", () => {
    const base = chainDefinition(8453, { isLocal: false });
    expect(explorerLink(base, "tx", hash)).to.equal(`https://basescan.org/tx/${hash}`);
    const ethereum = chainDefinition(1, { isLocal: false });
    expect(explorerLink(ethereum, "address", hash)).to.equal(`https://etherscan.io/address/${hash}`);
    expect(ethereum.contracts).to.have.property("multicall3");
    expect(explorerLink(chainDefinition(8453, { isLocal: true }), "tx", hash)).to.equal(undefined);
    expect(explorerLink(chainDefinition(31337, { isLocal: false }), "tx", hash)).to.equal(undefined);
    expect(explorerLink(undefined, "tx", hash)).to.equal(undefined);
  });

  it("belongs to a definition that keeps its Multicall3 on a fork of Base", () => {
    expect(chainDefinition(8453, { isLocal: true }).contracts).to.have.property("multicall3");
    expect(chainDefinition(99, { isLocal: false }).contracts).to.equal(undefined);
  });
});
