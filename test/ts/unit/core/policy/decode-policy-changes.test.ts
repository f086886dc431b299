import { expect } from "chai";
import { concat, type Hex, pad, zeroHash } from "viem";
import { decodePolicyChanges } from "../../../../../src/history/policy.ts";
import { policyLog, recordLog } from "../../../../support/history/policy-logs.ts";

const one: Hex = `0x${"11".repeat(32)}`;
const two: Hex = `0x${"22".repeat(32)}`;
const alice = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const bob = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

const decodeOne = (log: ReturnType<typeof policyLog>) => {
  const { changes, unknownLogs } = decodePolicyChanges([log]);
  return { change: changes[0], unknownLogs };
};

describe("decodePolicyChanges", () => {
  for (const [name, args, content] of [
    ["ComposeHashAdded", [one], { kind: "composeHashAdded", composeHash: one }],
    ["ComposeHashRemoved", [one], { kind: "composeHashRemoved", composeHash: one }],
    ["DeviceAdded", [one], { kind: "deviceAdded", deviceId: one }],
    ["DeviceRemoved", [one], { kind: "deviceRemoved", deviceId: one }],
    ["AllowAnyDeviceSet", [true], { kind: "allowAnyDeviceSet", enabled: true }],
    ["RequireTcbUpToDateSet", [false], { kind: "requireTcbUpToDateSet", enabled: false }],
    ["UpgradesDisabled", [], { kind: "upgradesDisabled" }],
    ["Upgraded", [alice], { kind: "upgraded", implementation: alice }],
    ["OwnershipTransferStarted", [alice, bob], { kind: "ownershipTransferStarted", from: alice, to: bob }],
    ["OwnershipTransferred", [alice, bob], { kind: "ownershipTransferred", from: alice, to: bob }],
    ["Initialized", [1n], { kind: "initialized", version: 1n }],
    ["PolicyChanged", [alice, one, two, true], { kind: "otherPolicyChanged", policy: one, value: two, enabled: true }],
  ] as const) {
    it(`reads ${name}, and skips logs that only resemble it`, () => {
      const log = policyLog(name, args, { blockNumber: 7n, logIndex: 3 });
      const { change, unknownLogs } = decodeOne(log);
      expect(change).to.include({ ...content, blockNumber: 7n, logIndex: 3, transactionHash: log.transactionHash });
      expect(unknownLogs).to.equal(0);
      for (const forged of [
        { ...log, data: concat([log.data, "0x00"]) },
        { ...log, topics: [...log.topics, one] },
        { ...log, topics: log.topics.slice(1) },
        { ...log, topics: [] },
      ])
        expect(decodeOne(forged)).to.deep.equal({ change: undefined, unknownLogs: 1 });
    });
  }

  it("skips a word that is wider than an address or a flag", () => {
    const flag = policyLog("AllowAnyDeviceSet", [true]);
    const upgrade = policyLog("Upgraded", [alice]);
    expect(decodeOne({ ...flag, data: pad("0x02") }).unknownLogs).to.equal(1);
    for (const word of [one, pad(concat(["0x01", alice])), pad("0x01", { dir: "right" })])
      expect(decodeOne({ ...upgrade, topics: [upgrade.topics[0] ?? "0x", word] }).unknownLogs).to.equal(1);
  });

  it("orders by block and position, for each order of the logs", () => {
    const logs = [
      policyLog("ComposeHashRemoved", [one], { blockNumber: 10n, logIndex: 10 }),
      policyLog("ComposeHashAdded", [two], { blockNumber: 9n, logIndex: 11 }),
      policyLog("ComposeHashAdded", [one], { blockNumber: 10n, logIndex: 2 }),
    ];
    const places = decodePolicyChanges(logs).changes.map(({ blockNumber, logIndex }) => [blockNumber, logIndex]);
    expect(places).to.deep.equal([
      [9n, 11],
      [10n, 2],
      [10n, 10],
    ]);
  });

  it("names the actor of each event, with the record before or after it", () => {
    const { changes } = decodePolicyChanges([
      policyLog("ComposeHashAdded", [one], { logIndex: 0 }),
      recordLog(alice, "compose-hash", one, true, { logIndex: 1 }),
      policyLog("DeviceRemoved", [two], { logIndex: 2 }),
      recordLog(bob, "device", two, false, { logIndex: 3 }),
      recordLog(alice, "implementation-upgrade", pad(bob), true, { logIndex: 4 }),
      policyLog("Upgraded", [bob], { logIndex: 5 }),
      policyLog("UpgradesDisabled", [], { logIndex: 6 }),
      recordLog(alice, "upgrades-disabled", zeroHash, true, { logIndex: 7 }),
      policyLog("AllowAnyDeviceSet", [false], { logIndex: 8 }),
      recordLog(bob, "allow-any-device", zeroHash, false, { logIndex: 9 }),
      policyLog("RequireTcbUpToDateSet", [true], { logIndex: 10 }),
      recordLog(alice, "require-tcb-up-to-date", zeroHash, true, { logIndex: 11 }),
    ]);
    expect(changes.map(({ kind, actor }) => [kind, actor])).to.deep.equal([
      ["composeHashAdded", alice],
      ["deviceRemoved", bob],
      ["upgraded", alice],
      ["upgradesDisabled", alice],
      ["allowAnyDeviceSet", bob],
      ["requireTcbUpToDateSet", alice],
    ]);
  });

  it("gives several equal events of a batch their own actors, in order", () => {
    const { changes } = decodePolicyChanges([
      policyLog("ComposeHashAdded", [one], { logIndex: 0 }),
      recordLog(alice, "compose-hash", one, true, { logIndex: 1 }),
      policyLog("ComposeHashRemoved", [one], { logIndex: 2 }),
      recordLog(bob, "compose-hash", one, false, { logIndex: 3 }),
      policyLog("ComposeHashAdded", [one], { logIndex: 4 }),
      recordLog(bob, "compose-hash", one, true, { logIndex: 5 }),
    ]);
    expect(changes.map(({ kind, actor }) => [kind, actor])).to.deep.equal([
      ["composeHashAdded", alice],
      ["composeHashRemoved", bob],
      ["composeHashAdded", bob],
    ]);
  });

  it("keeps a record without its event as a change of its own, and gives its actor to no other event", () => {
    const { changes } = decodePolicyChanges([
      policyLog("ComposeHashAdded", [one], { logIndex: 0 }),
      recordLog(alice, "compose-hash", two, true, { logIndex: 1 }),
      recordLog(alice, "compose-hash", one, false, { logIndex: 2 }),
      recordLog(alice, "compose-hash", one, true, { logIndex: 0, transactionHash: two, blockNumber: 2n }),
    ]);
    expect(changes.map(({ kind, actor }) => [kind, actor])).to.deep.equal([
      ["composeHashAdded", undefined],
      ["otherPolicyChanged", undefined],
      ["otherPolicyChanged", undefined],
      ["otherPolicyChanged", undefined],
    ]);
  });
});
