import { expect } from "chai";
import { concat, encodeAbiParameters, type Hex, pad, toEventSelector } from "viem";
import { generations } from "../../../../src/core/generation.ts";
import { parseAppId, parseComposeHash, parseTransactionHash } from "../../../../src/core/ids.ts";
import {
  type JudgedLog,
  judgeReceipt,
  type RegistrationClaim,
  type RegistrationEvidence,
  type RegistrationVerdict,
} from "../../../../src/mock-cloud/verification/judge-receipt.ts";

const appId = parseAppId("a1".repeat(20));
const otherContract: Hex = `0x${"b2".repeat(20)}`;
const composeHash = parseComposeHash("c3".repeat(32));
const otherHash: Hex = `0x${"d4".repeat(32)}`;
const transactionHash = parseTransactionHash("e5".repeat(32));
const claim: RegistrationClaim = { chainId: 8453, appId, composeHash, transactionHash };

const added = toEventSelector("ComposeHashAdded(bytes32)");
const removed = toEventSelector("ComposeHashRemoved(bytes32)");
const addition: JudgedLog = { address: appId, topics: [added], data: composeHash };

function evidence(logs: readonly JudgedLog[], changes: Partial<RegistrationEvidence> = {}): RegistrationEvidence {
  return { chainId: 8453, receipt: { status: "success", logs }, isHashAllowed: true, ...changes };
}

describe("judgeReceipt", () => {
  it("verifies a receipt in which the app added the hash", () => {
    expect(judgeReceipt(evidence([addition]), claim)).to.deep.equal({ kind: "verified" });
  });

  it("accepts a call through a Safe, whose receipt holds other events too", () => {
    const safe: JudgedLog[] = [
      { address: otherContract, topics: [toEventSelector("SafeReceived(address,uint256)")], data: pad("0x01") },
      addition,
      { address: otherContract, topics: [toEventSelector("ExecutionSuccess(bytes32,uint256)")], data: "0x" },
    ];
    expect(judgeReceipt(evidence(safe), claim).kind).to.equal("verified");
  });

  it("compares addresses and hashes without regard to letter case", () => {
    const shouting = {
      address: appId.toUpperCase().replace("0X", "0x") as Hex,
      topics: [added.toUpperCase().replace("0X", "0x") as Hex],
      data: composeHash.toUpperCase().replace("0X", "0x") as Hex,
    };
    expect(judgeReceipt(evidence([shouting]), claim).kind).to.equal("verified");
  });

  it("finds the hash among several additions of one batch", () => {
    const batch = [{ ...addition, data: otherHash }, addition, { ...addition, data: pad("0x07") }];
    expect(judgeReceipt(evidence(batch), claim).kind).to.equal("verified");
  });

  const forged: [name: string, logs: JudgedLog[], says: string][] = [
    ["no event at all", [], "holds no ComposeHashAdded event"],
    ["the event of another contract", [{ ...addition, address: otherContract }], `to contract ${otherContract}`],
    ["the app's event for another hash", [{ ...addition, data: otherHash }], `another compose hash: ${otherHash}`],
    [
      "the right hash from another contract and another hash from the app",
      [
        { ...addition, address: otherContract },
        { ...addition, data: otherHash },
      ],
      "another compose hash",
    ],
    ["the removal of the hash", [{ ...addition, topics: [removed] }], "holds no ComposeHashAdded event"],
    ["an anonymous log", [{ ...addition, topics: [] }], "holds no ComposeHashAdded event"],
    ["the hash as an indexed argument", [{ ...addition, topics: [added, composeHash], data: "0x" }], "holds no"],
    ["an extra topic", [{ ...addition, topics: [added, composeHash] }], "holds no"],
    ["31 bytes of data", [{ ...addition, data: composeHash.slice(0, -2) as Hex }], "holds no"],
    ["33 bytes of data", [{ ...addition, data: concat([composeHash, "0x00"]) }], "holds no"],
    ["no data", [{ ...addition, data: "0x" }], "holds no"],
    [
      "the hash as dynamic bytes",
      [{ ...addition, data: encodeAbiParameters([{ type: "bytes" }], [composeHash]) }],
      "holds no",
    ],
    [
      "an event of another signature with the same name",
      [{ ...addition, topics: [toEventSelector("ComposeHashAdded(bytes)")] }],
      "holds no",
    ],
    [
      "a device added under the same value",
      [{ ...addition, topics: [toEventSelector("DeviceAdded(bytes32)")] }],
      "holds no",
    ],
  ];
  for (const [name, logs, says] of forged) {
    it(`refuses ${name}`, () => {
      const verdict = judgeReceipt(evidence(logs), claim);
      expect(verdict).to.have.property("kind", "transaction-not-verified");
      expect(verdict).to.have.property("message").that.includes(says).and.includes(transactionHash);
    });
  }

  it("refuses a reverted transaction, even with a matching log and an allowed hash", () => {
    const verdict = judgeReceipt({ ...evidence([]), receipt: { status: "reverted", logs: [addition] } }, claim);
    expect(verdict).to.deep.include({ kind: "transaction-not-verified" });
    expect(verdict).to.have.property("message").that.includes("was reverted");
  });

  it("refuses an unknown transaction, even if the hash is allowed", () => {
    const verdict = judgeReceipt(evidence([], { receipt: undefined }), claim);
    expect(verdict).to.have.property("message", `Transaction ${transactionHash} was not found on chain 8453.`);
  });

  it("tells a hash that was removed later from one that was never added", () => {
    expect(judgeReceipt(evidence([addition], { isHashAllowed: false }), claim).kind).to.equal("hash-not-allowed");
    expect(judgeReceipt(evidence([], { isHashAllowed: false }), claim).kind).to.equal("transaction-not-verified");
  });

  it("waits for a transaction that the endpoint knows and no block has", () => {
    const verdict = judgeReceipt(evidence([], { receipt: undefined, isPending: true }), claim);
    const message = `Transaction ${transactionHash} is not mined yet.`;
    expect(verdict).to.deep.equal({ kind: "waiting", reason: "not-mined", message });
  });

  it("refuses a registration in an app that the KMS has not registered", () => {
    const verdict = judgeReceipt(evidence([addition], { isAppRegistered: false }), claim);
    expect(verdict).to.deep.include({ kind: "hash-not-allowed", reason: "app-not-registered" });
    expect(judgeReceipt(evidence([addition], { isAppRegistered: true }), claim).kind).to.equal("verified");
  });

  it("says why a transaction or a hash is refused", () => {
    const reasonOf = (verdict: RegistrationVerdict) => ("reason" in verdict ? verdict.reason : verdict.kind);
    const stateOnly: RegistrationClaim = { ...claim, transactionHash: "already-registered" };
    const other = { ...addition, address: otherContract };
    const reverted = { status: "reverted", logs: [] } as const;
    expect(
      [
        judgeReceipt(evidence([], { receipt: undefined }), claim),
        judgeReceipt(evidence([], { receipt: reverted }), claim),
        judgeReceipt(evidence([{ ...addition, data: otherHash }]), claim),
        judgeReceipt(evidence([other]), claim),
        judgeReceipt(evidence([]), claim),
        judgeReceipt(evidence([addition], { isHashAllowed: false }), claim),
        judgeReceipt(evidence([], { isHashAllowed: false }), stateOnly),
        judgeReceipt(evidence([addition], { generation: generations.unknown }), claim),
      ].map(reasonOf),
    ).to.deep.equal([
      ...["not-found", "reverted", "other-hash", "other-contract", "no-event"],
      ...["removed", "not-allowed", "other-generation"],
    ]);
  });

  it("gives no verdict on the receipt of another chain", () => {
    expect(judgeReceipt(evidence([addition], { chainId: 1 }), claim)).to.deep.equal({ kind: "wrong-chain" });
  });

  it("checks only the state for already-registered", () => {
    const stateOnly: RegistrationClaim = { ...claim, transactionHash: "already-registered" };
    expect(judgeReceipt(evidence([], { receipt: undefined }), stateOnly).kind).to.equal("verified");
    expect(judgeReceipt(evidence([addition], { isHashAllowed: false }), stateOnly).kind).to.equal("hash-not-allowed");
  });
});
