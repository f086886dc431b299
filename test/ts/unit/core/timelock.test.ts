import { expect } from "chai";
import { type Address, encodeAbiParameters, encodeEventTopics, encodeFunctionData, type Hex, zeroHash } from "viem";
import { effectOf } from "../../../../src/core/call-effects.ts";
import { parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { addOsImageHashCall } from "../../../../src/core/kms-owner-calls.ts";
import { gasCeilingOf, orderCalls } from "../../../../src/core/order-calls.ts";
import {
  addComposeHashCall,
  callsInOperation,
  decodeOwnerCall,
  type OwnerCall,
  proveCalls,
  removeComposeHashCall,
} from "../../../../src/core/owner-calls.ts";
import {
  assembleOperation,
  buildTimelockBatch,
  cancelCall,
  decodeTimelockLog,
  decodeTimelockRequest,
  executeCall,
  operationOf,
  scheduleCall,
} from "../../../../src/core/timelock.ts";
import { describeDelay, hashOperation, hashOperationBatch, timelockAbi } from "../../../../src/core/timelock-calls.ts";
import { ReceiptMismatchError } from "../../../../src/errors/index.ts";

const timelock: Address = `0x${"7e".repeat(20)}`;
const appId = parseAppId(`0x${"a0".repeat(20)}`);
const kms: Address = `0x${"c0".repeat(20)}`;
const composeHash = parseComposeHash("0c".repeat(32));
const calls = [
  addComposeHashCall({ appId, composeHash }),
  addOsImageHashCall({ kms, osImageHash: `0x${"05".repeat(32)}` }),
];
const salt: Hex = `0x${"5a".repeat(32)}`;
const predecessor: Hex = `0x${"9f".repeat(32)}`;
const operation = operationOf({ calls, predecessor, salt });
const id = hashOperationBatch(operation);

function decodeAgain({ to, data }: OwnerCall): OwnerCall | undefined {
  return decodeOwnerCall({ contract: "timelock", to, data });
}

describe("calls of a timelock", () => {
  const schedule = scheduleCall({ timelock, operation, delaySeconds: 172_800n });
  const execute = executeCall({ timelock, operation });
  const cancel = cancelCall({ timelock, id });

  it("are those that buildTimelockBatch encodes", () => {
    expect(buildTimelockBatch({ calls, timelock, delaySeconds: 172_800n, salt, predecessor })).to.deep.equal({
      timelock,
      operationId: id,
      schedule: schedule.data,
      execute: execute.data,
      cancel: cancel.data,
      delaySeconds: 172_800n,
    });
  });

  it("say in words what they do, and which event proves them", () => {
    const inWords = `allow compose hash ${composeHash} on ${appId}; allow OS image 0x${"05".repeat(32)} on ${kms}`;
    expect(schedule.description).to.equal(`schedule, to wait 2 days: ${inWords}`);
    expect(execute.description).to.equal(`execute: ${inWords}`);
    expect(cancel.description).to.equal(`cancel operation ${id}`);
    for (const [call, eventName] of [
      [schedule, "CallScheduled"],
      [execute, "CallExecuted"],
      [cancel, "Cancelled"],
    ] as const)
      expect(call.proof).to.deep.equal({ eventNames: [eventName], args: { id } });
  });

  it("are the same after decoding, and name the calls in the operation", () => {
    for (const call of [schedule, execute, cancel]) expect(decodeAgain(call)).to.deep.equal(call);
    expect(callsInOperation(schedule)).to.deep.equal(calls);
    expect(callsInOperation(execute)).to.deep.equal(calls);
    expect(callsInOperation(cancel)).to.deep.equal([]);
  });

  it("of one call decode too, with the id of a single call", () => {
    const one = operationOf({ calls: calls.slice(0, 1), predecessor, salt });
    const single = executeCall({ timelock, operation: one, isBatch: false });
    expect(single.functionName).to.equal("execute");
    expect(single.proof.args).to.deep.equal({ id: hashOperation(one) });
    expect(decodeAgain(single)).to.deep.equal(single);
    expect(hashOperation(operation)).to.equal(undefined);
  });

  it("are no owner's calls with a value, with an unknown call, or with lists of different lengths", () => {
    const [call] = operation.calls;
    if (call === undefined) throw new Error("The operation has calls.");
    const withArguments = (targets: Address[], values: bigint[], payloads: Hex[]) =>
      decodeOwnerCall({
        contract: "timelock",
        to: timelock,
        data: encodeFunctionData({
          abi: timelockAbi,
          functionName: "scheduleBatch",
          args: [targets, values, payloads, predecessor, salt, 1n],
        }),
      });
    expect(withArguments([call.to], [0n], [call.data])).to.not.equal(undefined);
    expect(withArguments([call.to], [1n], [call.data])).to.equal(undefined);
    expect(withArguments([call.to], [0n], ["0x12345678"])).to.equal(undefined);
    expect(withArguments([call.to], [0n], [`${call.data}00`])).to.equal(undefined);
    expect(withArguments([call.to, call.to], [0n], [call.data])).to.equal(undefined);
  });

  it("change an operation's state, which a view shows", () => {
    expect(effectOf(schedule)).to.deep.equal({ view: "isOperation", args: [id], alreadySo: true });
    expect(effectOf(execute)).to.deep.equal({ view: "isOperationDone", args: [id], alreadySo: true });
    expect(effectOf(cancel)).to.deep.equal({ view: "isOperationPending", args: [id], alreadySo: false });
  });

  it("may stand together for two operations, and need more gas for more calls", () => {
    const other = scheduleCall({
      timelock,
      operation: operationOf({ calls, predecessor, salt: zeroHash }),
      delaySeconds: 1n,
    });
    expect(orderCalls([schedule, other])).to.have.lengthOf(2);
    expect(() => orderCalls([schedule, schedule])).to.throw("twice");
    const one = scheduleCall({
      timelock,
      operation: operationOf({ calls: calls.slice(0, 1), predecessor, salt }),
      delaySeconds: 1n,
    });
    expect(gasCeilingOf(schedule) > gasCeilingOf(one)).to.equal(true);
    expect(gasCeilingOf(execute)).to.equal(750_000n);
  });
});

describe("a receipt of a timelock's execution", () => {
  const executed = (index: number) => {
    const { to, value, data } = operation.calls[index] ?? { to: timelock, value: 0n, data: "0x" as const };
    return {
      address: timelock,
      topics: encodeEventTopics({ abi: timelockAbi, eventName: "CallExecuted", args: { id, index: BigInt(index) } }),
      data: encodeAbiParameters([{ type: "address" }, { type: "uint256" }, { type: "bytes" }], [to, value, data]),
    };
  };
  const added = { address: appId, topics: [] as Hex[], data: "0x" as Hex };
  const receipt = { status: "success", transactionHash: zeroHash } as const;
  const execute = executeCall({ timelock, operation: operationOf({ calls: calls.slice(0, 1), predecessor, salt }) });

  it("proves nothing without the events of the calls in the operation", () => {
    const logs = [{ ...executed(0), topics: executed(0).topics as Hex[] }, added];
    expect(() => proveCalls({ ...receipt, logs }, [execute])).to.throw(ReceiptMismatchError);
  });

  it("holds logs that decode only if they are exactly their encoding", () => {
    const { topics, data } = executed(1);
    expect(decodeTimelockLog({ topics: topics as Hex[], data })).to.deep.equal({
      kind: "executed",
      id,
      index: 1n,
      call: operation.calls[1],
    });
    expect(decodeTimelockLog({ topics: topics as Hex[], data: `${data}${"00".repeat(32)}` })).to.equal(undefined);
    expect(decodeTimelockLog({ topics: (topics as Hex[]).slice(0, 2), data })).to.equal(undefined);
  });
});

describe("decodeTimelockRequest", () => {
  it("reads an operation, also one with calls that this package does not make", () => {
    const unknown = { to: timelock, value: 1n, data: "0x12345678" } as const;
    const data = encodeFunctionData({
      abi: timelockAbi,
      functionName: "schedule",
      args: [unknown.to, unknown.value, unknown.data, predecessor, salt, 60n],
    });
    const single = { calls: [unknown], predecessor, salt };
    expect(decodeTimelockRequest(data)).to.deep.equal({
      kind: "schedule",
      id: hashOperation(single),
      operation: single,
      delaySeconds: 60n,
    });
    expect(decodeTimelockRequest(cancelCall({ timelock, id }).data)).to.deep.equal({ kind: "cancel", id });
    expect(decodeTimelockRequest(removeComposeHashCall({ appId, composeHash }).data)).to.equal(undefined);
    expect(decodeTimelockRequest(`${data}00`)).to.equal(undefined);
  });
});

describe("assembleOperation", () => {
  it("believes events only if they make up the id", () => {
    expect(assembleOperation(id, operation)).to.deep.equal({ operation, isBatch: true });
    expect(assembleOperation(id, { ...operation, salt: undefined })).to.equal(undefined);
    expect(assembleOperation(id, { ...operation, calls: operation.calls.slice(1) })).to.equal(undefined);
    expect(assembleOperation(id, { ...operation, calls: operation.calls.toReversed() })).to.equal(undefined);
  });
});

describe("describeDelay", () => {
  it("is exact", () => {
    expect([0n, 1n, 90n, 3_600n, 129_600n, 172_800n, 172_801n].map(describeDelay)).to.deep.equal([
      "no time",
      "1 second",
      "1 minute 30 seconds",
      "1 hour",
      "1 day 12 hours",
      "2 days",
      "2 days 1 second",
    ]);
  });
});
