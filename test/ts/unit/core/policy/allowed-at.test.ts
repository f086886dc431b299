import { expect } from "chai";
import fc from "fast-check";
import type { Hex } from "viem";
import { parseComposeHash, parseDeviceId } from "../../../../../src/core/ids.ts";
import { allowedAt, decodePolicyChanges, type PolicyLog } from "../../../../../src/history/policy.ts";
import { policyLog } from "../../../../support/history/policy-logs.ts";

const hash = parseComposeHash("11".repeat(32));
const device = parseDeviceId("22".repeat(32));
const alice = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const bob = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const noOwner = "0x0000000000000000000000000000000000000000";

const changesOf = (...logs: PolicyLog[]) => decodePolicyChanges(logs).changes;

describe("allowedAt", () => {
  const changes = changesOf(
    policyLog("ComposeHashAdded", [hash], { blockNumber: 10n }),
    policyLog("ComposeHashAdded", [hash], { blockNumber: 20n }),
    policyLog("ComposeHashRemoved", [hash], { blockNumber: 30n }),
    policyLog("DeviceAdded", [device], { blockNumber: 30n, logIndex: 1 }),
    policyLog("ComposeHashAdded", [hash], { blockNumber: 40n }),
    policyLog("DeviceRemoved", [device], { blockNumber: 50n }),
  );

  it("includes the changes of the block itself", () => {
    expect(allowedAt(changes, 9n).composeHashes.size).to.equal(0);
    expect(allowedAt(changes, 10n).composeHashes.has(hash)).to.equal(true);
    expect(allowedAt(changes, 29n).devices.has(device)).to.equal(false);
    expect(allowedAt(changes, 30n).composeHashes.has(hash)).to.equal(false);
    expect(allowedAt(changes, 30n).devices.has(device)).to.equal(true);
    expect(allowedAt(changes).devices.has(device)).to.equal(false);
  });

  it("dates an allowed hash by the addition that took effect, not by a repeated one", () => {
    expect(allowedAt(changes, 25n).composeHashes.get(hash)?.blockNumber).to.equal(10n);
    expect(allowedAt(changes).composeHashes.get(hash)?.blockNumber).to.equal(40n);
  });

  it("does not depend on the order in which the changes are given", () => {
    for (const block of [10n, 25n, 30n, 40n, 50n])
      expect(allowedAt(changes.toReversed(), block)).to.deep.equal(allowedAt(changes, block));
  });

  it("dates and removes each device separately", () => {
    const other = parseDeviceId("33".repeat(32));
    const { devices } = allowedAt(
      changesOf(
        policyLog("DeviceAdded", [device], { blockNumber: 1n }),
        policyLog("DeviceAdded", [other], { blockNumber: 2n }),
        policyLog("DeviceAdded", [device], { blockNumber: 3n }),
        policyLog("DeviceRemoved", [other], { blockNumber: 4n }),
      ),
    );
    expect([...devices].map(([id, { blockNumber }]) => [id, blockNumber])).to.deep.equal([[device, 1n]]);
  });

  it("leaves a flag without an event undefined, and starts from the initial flags", () => {
    const flags = changesOf(
      policyLog("AllowAnyDeviceSet", [false], { blockNumber: 5n }),
      policyLog("RequireTcbUpToDateSet", [true], { blockNumber: 6n }),
      policyLog("UpgradesDisabled", [], { blockNumber: 7n }),
    );
    const unknown = { allowAnyDevice: undefined, requireTcbUpToDate: undefined, upgradesDisabled: undefined };
    const initial = { allowAnyDevice: true, requireTcbUpToDate: false, upgradesDisabled: false };
    expect(allowedAt(flags, 4n)).to.include(unknown);
    expect(allowedAt(flags, 4n, initial)).to.include(initial);
    expect(allowedAt(flags, 7n, initial)).to.include({
      allowAnyDevice: false,
      requireTcbUpToDate: true,
      upgradesDisabled: true,
    });
  });

  it("follows the owner, the pending owner and the implementation", () => {
    const moves = changesOf(
      policyLog("Upgraded", [alice], { blockNumber: 1n }),
      policyLog("OwnershipTransferred", [noOwner, alice], { blockNumber: 1n, logIndex: 1 }),
      policyLog("OwnershipTransferStarted", [alice, bob], { blockNumber: 2n }),
      policyLog("OwnershipTransferred", [alice, bob], { blockNumber: 3n }),
      policyLog("OwnershipTransferStarted", [bob, alice], { blockNumber: 4n }),
      policyLog("OwnershipTransferStarted", [bob, noOwner], { blockNumber: 5n }),
      policyLog("Upgraded", [bob], { blockNumber: 6n }),
    );
    const at = (block: bigint) => {
      const { owner, pendingOwner, implementation } = allowedAt(moves, block);
      return [owner, pendingOwner, implementation];
    };
    expect(at(0n)).to.deep.equal([undefined, undefined, undefined]);
    expect(at(1n)).to.deep.equal([alice, undefined, alice]);
    expect(at(2n)).to.deep.equal([alice, bob, alice]);
    expect(at(3n)).to.deep.equal([bob, undefined, alice]);
    expect(at(4n)).to.deep.equal([bob, alice, alice]);
    expect(at(6n)).to.deep.equal([bob, undefined, bob]);
  });

  it("equals the mapping of a contract, at every block of every history", () => {
    const step = fc.record({
      value: fc.integer({ min: 0, max: 3 }),
      add: fc.boolean(),
      gap: fc.integer({ max: 2, min: 0 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const mapping = new Map<Hex, boolean>();
        const logs: PolicyLog[] = [];
        const states: [bigint, Hex[]][] = [];
        let blockNumber = 0n;
        for (const [logIndex, { value, add, gap }] of steps.entries()) {
          blockNumber += BigInt(gap);
          const key: Hex = `0x${`0${value}`.repeat(32)}`;
          mapping.set(key, add);
          logs.push(policyLog(add ? "ComposeHashAdded" : "ComposeHashRemoved", [key], { blockNumber, logIndex }));
          states.push([blockNumber, [...mapping].filter(([, allowed]) => allowed).map(([key]) => key)]);
        }
        const { changes } = decodePolicyChanges(logs);
        for (const [block, expected] of new Map(states)) // the last state of each block
          expect([...allowedAt(changes, block).composeHashes.keys()]).to.have.members(expected);
      }),
    );
  });
});
