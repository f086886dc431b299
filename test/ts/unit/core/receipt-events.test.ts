import { expect } from "chai";
import fc from "fast-check";
import { concat, encodeAbiParameters, encodeEventTopics, type Hex, keccak256, pad, toHex } from "viem";
import { appEvents, deployedApp, type EventLog, type EventReceipt, requireEvent } from "../../../../src/core/events.ts";
import { type AppId, parseAppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { ReceiptMismatchError } from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";

const app = parseAppId("a1".repeat(20));
const impostor = parseAppId("b2".repeat(20));
const hash = parseComposeHash("c3".repeat(32));
const otherHash = parseComposeHash("d4".repeat(32));
const device = parseDeviceId("e5".repeat(32));
const transactionHash: Hex = `0x${"f6".repeat(32)}`;

const topicOf = (signature: string) => keccak256(toHex(signature));
const composeHashAdded = topicOf("ComposeHashAdded(bytes32)");
const genuine: EventLog = { address: app, topics: [composeHashAdded], data: hash };

function receiptOf(...logs: EventLog[]): EventReceipt {
  return { status: "success", transactionHash, logs };
}

function requireHash(receipt: EventReceipt, value = hash): void {
  requireEvent(receipt, { emitter: app, eventName: "ComposeHashAdded", value });
}

describe("appEvents", () => {
  it("decodes what one app logged, in order", () => {
    const policyChanged: EventLog = {
      address: app,
      topics: [
        topicOf("PolicyChanged(address,bytes32,bytes32,bool)"),
        pad(impostor, { size: 32 }),
        topicOf("compose-hash"),
        hash,
      ],
      data: pad("0x01", { size: 32 }),
    };
    const anyDevice: EventLog = {
      address: app,
      topics: [topicOf("AllowAnyDeviceSet(bool)")],
      data: pad("0x00", { size: 32 }),
    };
    const disabled: EventLog = { address: app, topics: [topicOf("UpgradesDisabled()")], data: "0x" };
    const events = appEvents(receiptOf(genuine, policyChanged, anyDevice, disabled), { emitter: app });
    expect(events.map(({ eventName }) => eventName)).to.deep.equal([
      "ComposeHashAdded",
      "PolicyChanged",
      "AllowAnyDeviceSet",
      "UpgradesDisabled",
    ]);
    expect(events[0]?.args).to.deep.equal({ composeHash: hash });
    expect(events[1]?.args).to.include({ value: hash, enabled: true });
    expect(events[2]?.args).to.deep.equal({ allowAny: false });
  });

  it("accepts the emitter in any letter case", () => {
    const shouted: AppId = `0x${app.slice(2).toUpperCase()}` as AppId; // as a careless caller would cast it
    expect(appEvents(receiptOf(genuine), { emitter: shouted })).to.have.lengthOf(1);
    expect(appEvents(receiptOf({ ...genuine, address: shouted }), { emitter: app })).to.have.lengthOf(1);
  });

  it("finds nothing in a reverted transaction", () => {
    expect(appEvents({ ...receiptOf(genuine), status: "reverted" }, { emitter: app })).to.deep.equal([]);
  });

  const forgeries: Record<string, EventLog> = {
    "another contract": { ...genuine, address: impostor },
    "no topic": { ...genuine, topics: [] },
    "another event's topic": { ...genuine, topics: [topicOf("ComposeHashAdded(bytes)")] },
    "the argument as an indexed topic": { ...genuine, topics: [composeHashAdded, hash], data: "0x" },
    "the argument both indexed and as data": { ...genuine, topics: [composeHashAdded, hash] },
    "31 bytes of data": { ...genuine, data: `0x${"c3".repeat(31)}` },
    "33 bytes of data": { ...genuine, data: `0x${"c3".repeat(33)}` },
    "two words of data": { ...genuine, data: concat([hash, hash]) },
    "no data": { ...genuine, data: "0x" },
    "data that is no hex": { ...genuine, data: `0x${"zz".repeat(32)}` },
    "a topic that is no hex": { ...genuine, topics: ["0xzz"] },
  };
  for (const [what, log] of Object.entries(forgeries)) {
    it(`skips a log with ${what}, and keeps the genuine one beside it`, () => {
      expect(appEvents(receiptOf(log), { emitter: app })).to.deep.equal([]);
      expect(appEvents(receiptOf(log, genuine), { emitter: app })).to.have.lengthOf(1);
    });
  }

  it("never throws, for any content of a receipt", () => {
    const hex = fc.oneof(
      fc.uint8Array({ maxLength: 70 }).map((bytes): Hex => toHex(bytes)),
      fc.string().map((text): Hex => `0x${text}`),
    );
    const topic = fc.oneof(
      hex,
      fc.constantFrom(composeHashAdded, topicOf("Upgraded(address)"), topicOf("Initialized(uint64)")),
    );
    const log = fc.record({
      address: fc.constantFrom(app, impostor),
      topics: fc.array(topic, { maxLength: 5 }),
      data: hex,
    });
    fc.assert(
      fc.property(fc.array(log), (logs) => appEvents(receiptOf(...logs), { emitter: app }).length <= logs.length),
    );
  });

  it("finds that each argument of an app's events is one word", () => {
    const types = dstackAppAbi.flatMap((item) => (item.type === "event" ? item.inputs.map(({ type }) => type) : []));
    expect(new Set<string>(types)).to.deep.equal(new Set(["address", "bytes32", "bool", "uint64"]));
  });
});

describe("requireEvent", () => {
  it("accepts the event of this app with this value, wherever it stands", () => {
    requireHash(
      receiptOf({ ...genuine, address: impostor, data: otherHash }, { ...genuine, data: otherHash }, genuine),
    );
  });

  it("distinguishes the two values of a flag", () => {
    const on: EventLog = {
      address: app,
      topics: [topicOf("AllowAnyDeviceSet(bool)")],
      data: pad("0x01", { size: 32 }),
    };
    requireEvent(receiptOf(on), { emitter: app, eventName: "AllowAnyDeviceSet", value: true });
    expect(() => requireEvent(receiptOf(on), { emitter: app, eventName: "AllowAnyDeviceSet", value: false })).to.throw(
      ReceiptMismatchError,
    );
  });

  it("names the events that the app logged instead", () => {
    const removed: EventLog = { address: app, topics: [topicOf("ComposeHashRemoved(bytes32)")], data: hash };
    const deviceAdded: EventLog = { address: app, topics: [topicOf("DeviceAdded(bytes32)")], data: device };
    const forged: EventLog = { ...genuine, address: impostor };
    try {
      requireHash(receiptOf(removed, deviceAdded, forged, { ...genuine, data: otherHash }));
      expect.fail("must throw");
    } catch (error) {
      expect(error).to.be.instanceOf(ReceiptMismatchError);
      expect(error)
        .to.have.property("context")
        .that.deep.equals({
          transactionHash,
          eventName: "ComposeHashAdded",
          emitter: app,
          expected: hash,
          found: [`ComposeHashRemoved(${hash})`, `DeviceAdded(${device})`, `ComposeHashAdded(${otherHash})`],
        });
    }
  });

  it("does not accept the audit event in place of the event itself", () => {
    const audit: EventLog = {
      address: app,
      topics: [
        topicOf("PolicyChanged(address,bytes32,bytes32,bool)"),
        pad(app, { size: 32 }),
        topicOf("compose-hash"),
        hash,
      ],
      data: pad("0x01", { size: 32 }),
    };
    expect(() => requireHash(receiptOf(audit))).to.throw(ReceiptMismatchError);
  });

  it("does not accept the logs of a reverted transaction", () => {
    expect(() => requireHash({ ...receiptOf(genuine), status: "reverted" })).to.throw(ReceiptMismatchError);
  });
});

describe("deployedApp", () => {
  const kms = parseAppId("77".repeat(20));
  const deployment: EventLog = {
    address: kms,
    topics: encodeEventTopics({
      abi: [{ type: "event", name: "AppDeployedViaFactory", inputs: [address("appId"), address("deployer")] }],
      args: { appId: app, deployer: impostor },
    }) as [Hex, ...Hex[]], // no argument is left open, so no topic is null
    data: encodeAbiParameters([], []),
  };

  it("is the app that the factory of this KMS names", () => {
    expect(deployedApp(receiptOf(genuine, deployment), { kms })).to.equal(app);
  });

  it("does not believe another factory", () => {
    expect(() => deployedApp(receiptOf({ ...deployment, address: impostor }), { kms })).to.throw(ReceiptMismatchError);
  });

  function address(name: string) {
    return { type: "address", name, indexed: true } as const;
  }
});
