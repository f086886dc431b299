import { expect } from "chai";
import fc from "fast-check";
import { type AbiFunction, concat, encodeAbiParameters, encodeEventTopics, type Hex, slice, zeroAddress } from "viem";
import { effectOf } from "../../../../src/core/call-effects.ts";
import { chunkCalls, groupCalls, orderCalls, transactionGasCeiling } from "../../../../src/core/order-calls.ts";
import {
  buildOwnerCall,
  decodeOwnerCall,
  isSameCall,
  type OwnedContract,
  type OwnerCall,
  ownedContractAbis,
  ownerFunctions,
  proveCalls,
} from "../../../../src/core/owner-calls.ts";
import { buildSafeTx, hashSafeTx } from "../../../../src/core/safe.ts";
import { InvalidArgumentError, ReceiptMismatchError } from "../../../../src/errors/index.ts";

const to: Hex = `0x${"ab".repeat(20)}`;
const contracts: readonly OwnedContract[] = ["app", "kms"];
const all = contracts.flatMap((contract) =>
  Object.keys(ownerFunctions[contract]).map((functionName) => ({ contract, functionName })),
);

function functionOf(contract: OwnedContract, functionName: string): AbiFunction {
  const item = ownedContractAbis[contract].find((item) => item.type === "function" && item.name === functionName);
  if (item?.type !== "function") throw new Error(`${contract} has no ${functionName}`);
  return item;
}

function example(type: string, digit = "c"): unknown {
  if (type === "bool") return digit !== "0";
  return type === "bytes" ? "0x" : `0x${digit.repeat(type === "address" ? 40 : 64)}`;
}

function callOf(functionName: string, digit = "c", contract: OwnedContract = "app", target = to): OwnerCall {
  const args = functionOf(contract, functionName).inputs.map(({ type }) => example(type, digit));
  return buildOwnerCall({ contract, to: target, functionName, args });
}

/** The log a contract writes for a call, of the event its ABI has. */
function logOf({ contract, to: address, proof }: OwnerCall, eventName = proof.eventNames[0]) {
  const event = ownedContractAbis[contract].find((item) => item.type === "event" && item.name === eventName);
  if (event?.type !== "event") throw new Error(`${contract} has no event ${eventName}`);
  const value = (input: { readonly name?: string; readonly type: string }) =>
    proof.args[input.name ?? ""] ?? (input.type === "address" ? zeroAddress : example(input.type));
  const indexed = event.inputs.filter((input) => input.indexed);
  const topics = encodeEventTopics({
    abi: [event],
    args: Object.fromEntries(indexed.map((input) => [input.name, value(input)])),
  }) as Hex[]; // every indexed argument is given
  const plain = event.inputs.filter((input) => !input.indexed);
  return { address, topics, data: encodeAbiParameters(plain, plain.map(value)) };
}

const receiptOf = (logs: ReturnType<typeof logOf>[]) =>
  ({ status: "success", transactionHash: `0x${"77".repeat(32)}`, logs }) as const;

describe("policy calls", () => {
  for (const { contract, functionName } of all) {
    it(`builds, reads back and proves ${functionName} of the ${contract}`, () => {
      const call = callOf(functionName, "c", contract);
      const raw = { contract, to, data: call.data.toUpperCase().replace("0X", "0x") as Hex };
      expect(decodeOwnerCall(raw)).to.deep.equal(call);
      expect(JSON.parse(JSON.stringify(call))).to.deep.equal(call);
      expect(call.description).to.match(/^[a-z].+[^.]$/);
      for (const eventName of call.proof.eventNames) proveCalls(receiptOf([logOf(call, eventName)]), [call]);
      expect(() => proveCalls(receiptOf([]), [call])).to.throw(ReceiptMismatchError);
      const elsewhere = { ...logOf(call), address: `0x${"ee".repeat(20)}` as const };
      expect(() => proveCalls(receiptOf([elsewhere]), [call])).to.throw(ReceiptMismatchError);
    });
  }

  it("proves a call by no other call's event, and by no event with another value", () => {
    // These two emit the same event. Only its values tell them apart.
    const handovers = ["acceptOwnership", "renounceOwnership"];
    for (const { contract, functionName } of all) {
      const call = callOf(functionName, "c", contract);
      const others = all.filter((other) => other.contract === contract && other.functionName !== functionName);
      for (const other of others) {
        if (handovers.includes(functionName) && handovers.includes(other.functionName)) continue;
        const log = logOf(callOf(other.functionName, "c", contract));
        const what = `${functionName} by the event of ${other.functionName}`;
        expect(() => proveCalls(receiptOf([log]), [call]), what).to.throw(ReceiptMismatchError);
      }
      for (const name of Object.keys(call.proof.args)) {
        const value = typeof call.proof.args[name] === "boolean" ? false : `0x${"d".repeat(40)}`;
        const proof = { ...call.proof, args: { ...call.proof.args, [name]: value } };
        const wide = String(call.proof.args[name]).length > 42 ? { [name]: `0x${"d".repeat(64)}` } : {};
        const log = logOf({ ...call, proof: { ...proof, args: { ...proof.args, ...wide } } });
        expect(() => proveCalls(receiptOf([log]), [call]), `${functionName} ${name}`).to.throw(ReceiptMismatchError);
      }
    }
    const renounced = callOf("renounceOwnership");
    const taken = logOf({ ...renounced, proof: { ...renounced.proof, args: { newOwner: to } } });
    expect(() => proveCalls(receiptOf([taken]), [renounced])).to.throw(ReceiptMismatchError);
  });

  it("has every function of the app that only its owner may call", () => {
    const known = new Set([...Object.keys(ownerFunctions.app), "initialize"]);
    const writes = ownedContractAbis.app.flatMap((item) =>
      item.type === "function" && item.stateMutability !== "view" && item.stateMutability !== "pure" ? [item.name] : [],
    );
    expect(writes.filter((name) => !known.has(name))).to.deep.equal([]);
  });

  it("decodes no call from bytes that are longer, shorter or of another function", () => {
    const { data } = callOf("addComposeHash");
    for (const other of [slice(data, 0, 35), concat([data, "0x00"]), "0x", "0x12345678"] as const)
      expect(decodeOwnerCall({ contract: "app", to, data: other })).to.equal(undefined);
    expect(decodeOwnerCall({ contract: "kms", to, data })).to.equal(undefined);
    expect(() => buildOwnerCall({ contract: "app", to, functionName: "initialize" })).to.throw(TypeError);
  });

  it("accepts one event as the proof of one call only, and only with the call's value", () => {
    const [first, second] = [callOf("addComposeHash", "1"), callOf("addComposeHash", "2")];
    proveCalls(receiptOf([logOf(second), logOf(first)]), [first, second]);
    expect(() => proveCalls(receiptOf([logOf(first), logOf(first)]), [first, second])).to.throw(ReceiptMismatchError);
    expect(() => proveCalls(receiptOf([logOf(first)]), [first, first])).to.throw(ReceiptMismatchError);
    const elsewhere = callOf("addComposeHash", "1", "app", `0x${"cd".repeat(20)}`);
    expect(() => proveCalls(receiptOf([logOf(first), logOf(first)]), [first, elsewhere])).to.throw(
      ReceiptMismatchError,
    );
    proveCalls(receiptOf([logOf(elsewhere), logOf(first)]), [first, elsewhere]);
    const removed = { ...logOf(callOf("removeComposeHash", "1")) };
    expect(() => proveCalls(receiptOf([removed]), [first])).to.throw(ReceiptMismatchError);
  });
});

describe("a policy call", () => {
  const hash = `0x${"AB".repeat(32)}`;
  const mixed: Hex = `0x${"aB".repeat(20)}`;

  it("is the same for each notation of its hex", () => {
    const build = (target: Hex, value: string) =>
      buildOwnerCall({ contract: "app", to: target, functionName: "addComposeHash", args: [value] });
    expect(build(mixed, hash)).to.deep.equal(build(to, hash.toLowerCase()));
    expect(build(mixed, hash)).to.include({ to }).and.have.nested.property("args[0]", hash.toLowerCase());
  });

  it("is the same as another only on the same contract", () => {
    const { data } = callOf("addComposeHash");
    expect(isSameCall({ to, data }, { to: mixed, data: `0x${data.slice(2).toUpperCase()}` })).to.equal(true);
    expect(isSameCall({ to, data }, { to: `0x${"cd".repeat(20)}`, data })).to.equal(false);
    expect(isSameCall({ to, data }, { to, data: callOf("removeComposeHash").data })).to.equal(false);
  });

  it("counts as without effect when the contract's view already shows its result", () => {
    const effects = all.map(({ contract, functionName }) => {
      const effect = effectOf(callOf(functionName, "c", contract));
      if (effect === undefined) return [functionName];
      expect(functionOf(contract, effect.view).outputs.map(({ type }) => type)).to.deep.equal(["bool"]);
      return [functionName, effect.view, effect.alreadySo, effect.args.length];
    });
    expect(effects.filter((effect) => effect.length > 1)).to.deep.equal([
      ["addComposeHash", "allowedComposeHashes", true, 1],
      ["removeComposeHash", "allowedComposeHashes", false, 1],
      ["addDevice", "allowedDeviceIds", true, 1],
      ["removeDevice", "allowedDeviceIds", false, 1],
      ["setAllowAnyDevice", "allowAnyDevice", true, 0],
      ["setRequireTcbUpToDate", "requireTcbUpToDate", true, 0],
      ["addOsImageHash", "allowedOsImages", true, 1],
      ["removeOsImageHash", "allowedOsImages", false, 1],
      ["addKmsAggregatedMr", "kmsAllowedAggregatedMrs", true, 1],
      ["removeKmsAggregatedMr", "kmsAllowedAggregatedMrs", false, 1],
      ["addKmsDevice", "kmsAllowedDeviceIds", true, 1],
      ["removeKmsDevice", "kmsAllowedDeviceIds", false, 1],
    ]);
    expect(effectOf(callOf("setAllowAnyDevice", "0"))?.alreadySo).to.equal(false);
  });
});

describe("the hash of a Safe transaction", () => {
  it("includes the chain id from Safe version 1.3.0 on", () => {
    const safeTx = buildSafeTx({ calls: [callOf("addComposeHash")], multiSend: to, nonce: 0n });
    const at = (version: string, chainId: number) => hashSafeTx(safeTx, { chainId, safe: to, version });
    for (const version of ["1.3.0", "1.3.0+L2", "1.3", "1.4.1", "1.5.0-beta", "1.10.0", "2.0.0"])
      expect(at(version, 1), version).to.equal(at("1.5.0", 1)).and.not.equal(at(version, 8453));
    for (const version of ["1.2.0", "1.1.1", "1.0.0", "0.1.0"])
      expect(at(version, 1), version).to.equal(at(version, 8453)).and.not.equal(at("1.5.0", 1));
  });
});

describe("the order of a batch", () => {
  it("is: accept ownership, add, remove, transfer ownership", () => {
    const calls = [
      "renounceOwnership",
      "removeDevice",
      "transferOwnership",
      "addDevice",
      "disableUpgrades",
      "upgradeToAndCall",
      "removeComposeHash",
      "setAllowAnyDevice",
      "acceptOwnership",
    ].map((name) => callOf(name, name.startsWith("remove") ? "1" : "2"));
    const ordered = orderCalls(calls);
    expect(ordered.map(({ functionName }) => functionName)).to.deep.equal([
      "acceptOwnership",
      "upgradeToAndCall",
      "addDevice",
      "setAllowAnyDevice",
      "removeDevice",
      "removeComposeHash",
      "renounceOwnership",
      "transferOwnership",
      "disableUpgrades",
    ]);
    expect(groupCalls(ordered).map((group) => group.length)).to.deep.equal([1, 1, 7]);
  });

  it("refuses two calls for one value, and accepts equal values of different lists", () => {
    const other: Hex = `0x${"cd".repeat(20)}`;
    for (const pair of [
      [callOf("addDevice"), callOf("addDevice")],
      [callOf("removeDevice"), callOf("addDevice")],
      [callOf("setAllowAnyDevice", "0"), callOf("setAllowAnyDevice", "1")],
      [callOf("transferOwnership", "1"), callOf("transferOwnership", "2")],
    ])
      expect(() => orderCalls(pair)).to.throw(InvalidArgumentError);
    for (const pair of [
      [callOf("addDevice", "1"), callOf("removeDevice", "2")],
      [callOf("addDevice"), callOf("removeComposeHash")],
      [callOf("addDevice"), callOf("removeDevice", "c", "app", other)],
      [callOf("addKmsDevice", "c", "kms"), callOf("removeDevice")],
    ])
      expect(orderCalls(pair)).to.have.length(2);
  });
});

describe("chunks of a batch", () => {
  const call = fc
    .constantFrom("addComposeHash", "removeComposeHash", "setAllowAnyDevice")
    .map((functionName) => callOf(functionName));

  it("keep every call and the order, and stay below the gas limit", () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 60 }), fc.integer({ min: 150_000, max: 2_000_000 }), (calls, ceiling) => {
        const chunks = chunkCalls(calls, { ceiling: BigInt(ceiling) });
        expect(chunks.flat()).to.deep.equal(calls);
        for (const chunk of chunks) {
          expect(chunk.length).to.be.greaterThan(0);
          // The gas that they use at least, before refunds; an addition fills an empty slot.
          const gas = chunk.map(({ functionName }) => (functionName === "addComposeHash" ? 24_000 : 8_000));
          if (chunk.length > 1) expect(gas.reduce((sum, part) => sum + part, 21_000)).to.be.lessThan(ceiling);
        }
      }),
    );
  });

  it("count the cost of an empty slot for each addition", () => {
    const additions = Array.from({ length: 60 }, () => callOf("addComposeHash"));
    for (const chunk of chunkCalls(additions, { ceiling: 500_000n }))
      expect(21_000 + 24_000 * chunk.length).to.be.lessThan(500_000);
  });

  it("hold a thousand removals in one transaction below the chain's gas limit", () => {
    const removals = Array.from({ length: 1_000 }, () => callOf("removeComposeHash"));
    expect(transactionGasCeiling).to.equal(2n ** 24n); // EIP-7825
    expect(chunkCalls(removals, {})).to.have.length(1);
    expect(chunkCalls([...removals, ...removals], { ceiling: transactionGasCeiling })).to.have.length(2);
  });
});
