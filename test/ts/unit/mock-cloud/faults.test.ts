import { expect } from "chai";
import type { MockCloudEvent } from "../../../../src/mock-cloud/events.ts";
import { Faults, matchRule, type Occasion } from "../../../../src/mock-cloud/faults/faults.ts";
import { faultRuleSchema } from "../../../../src/mock-cloud/faults/rule.ts";

const patch: Occasion = { method: "PATCH", path: "/cvms/my-app/envs", route: "/cvms/:cvm_id/envs", cvm: "cvm_a" };

describe("a fault's rule", () => {
  const matches = (rule: object, occasion: Occasion = patch) =>
    matchRule(faultRuleSchema.parse({ kind: "busy", ...rule }), occasion);

  it("applies to everything when it has no conditions", () => {
    expect(matches({})).to.equal(true);
    expect(matches({}, {})).to.equal(true);
  });

  it("can select an endpoint by method and route", () => {
    expect(matches({ method: "patch", route: "/cvms/:cvm_id/envs" })).to.equal(true);
    expect(matches({ route: "/cvms/{id}/envs" })).to.equal(true);
    expect(matches({ route: "/cvms/*/*" })).to.equal(true);
    expect(matches({ route: "/cvms/my-app/envs" })).to.equal(true);
    expect(matches({ method: "GET" })).to.equal(false);
    expect(matches({ route: "/cvms/:cvm_id" })).to.equal(false);
    expect(matches({ route: "/cvms/:cvm_id/envs/more" })).to.equal(false);
    expect(matches({ route: "/cvms/other-app/envs" })).to.equal(false);
    expect(matches({ route: "/cvms/:cvm_id/:what" })).to.equal(false);
  });

  it("can select one CVM", () => {
    expect(matches({ cvm: "cvm_a" })).to.equal(true);
    expect(matches({ cvm: "cvm_b" })).to.equal(false);
    expect(matches({ cvm: "cvm_a" }, { ...patch, cvm: undefined })).to.equal(false);
  });

  it("can select an RPC method, or an event of webhooks", () => {
    const occasion = { rpcMethod: "eth_call", event: "cvm.updated" };
    expect(matches({ kind: "rpc-error", rpcMethod: "eth_call" }, occasion)).to.equal(true);
    expect(matches({ kind: "rpc-error", rpcMethod: "eth_chainId" }, occasion)).to.equal(false);
    expect(matches({ kind: "duplicate-delivery", event: "cvm.updated" }, occasion)).to.equal(true);
    expect(matches({ kind: "duplicate-delivery", event: "cvm.started" }, occasion)).to.equal(false);
  });

  it("is refused when it is invalid", () => {
    for (const rule of [
      { kind: "no-such-fault" },
      { kind: "busy", times: 0 },
      { kind: "busy", probability: 1.5 },
      { kind: "busy", reason: "none of its business" },
      { kind: "boot-failure" },
      { kind: "latency", ms: -1 },
      { kind: "busy", route: "cvms" },
    ]) {
      expect(faultRuleSchema.safeParse(rule).success, JSON.stringify(rule)).to.equal(false);
    }
  });
});

describe("faults", () => {
  const events: MockCloudEvent[] = [];
  let faults: Faults;
  beforeEach(() => {
    events.length = 0;
    faults = new Faults((event) => void events.push(event));
  });
  const strikes = (count: number) => Array.from({ length: count }, () => faults.strike(["busy"], patch) !== undefined);

  it("do not occur when none is set", () => {
    expect(strikes(3)).to.deep.equal([false, false, false]);
    expect(events).to.deep.equal([]);
  });

  it("occur as often as their count, and are then removed", () => {
    faults.set({ kind: "busy", times: 2 });
    expect(strikes(3)).to.deep.equal([true, true, false]);
    expect(faults.list()).to.deep.equal([]);
  });

  it("count only the occasions that match their conditions", () => {
    faults.set({ kind: "busy", times: 1, cvm: "cvm_b" });
    expect(faults.strike(["latency"], { cvm: "cvm_b" })).to.equal(undefined);
    expect(strikes(1)).to.deep.equal([false]);
    expect(faults.strike(["busy"], { cvm: "cvm_b" })).to.include({ kind: "busy" });
  });

  it("occur at random by their seed, the same in every run", () => {
    const draw = (seed: number) => {
      faults.clear();
      faults.set({ kind: "busy", probability: 0.3, seed });
      return strikes(200);
    };
    const first = draw(7);
    expect(draw(7)).to.deep.equal(first);
    expect(draw(8)).to.not.deep.equal(first);
    expect(first.filter(Boolean).length).to.be.within(40, 80);
  });

  it("are reported one by one, each with the request it affected", () => {
    const { id } = faults.set({ kind: "busy", method: "PATCH" });
    strikes(1);
    expect(events).to.deep.equal([
      { type: "fault.struck", id, kind: "busy", cvmId: "cvm_a", where: "PATCH /cvms/my-app/envs" },
    ]);
    expect(faults.list()).to.deep.equal([{ id, struck: 1, kind: "busy", method: "PATCH", seed: 1 }]);
  });

  it("are removed one by one or all at once", () => {
    const { id } = faults.set({ kind: "latency", ms: 1 });
    faults.set({ kind: "busy" });
    faults.set({ kind: "busy" });
    expect(faults.clear(id)).to.equal(true);
    expect(faults.clear(id)).to.equal(false);
    expect(faults.has("latency")).to.equal(false);
    expect(faults.has("busy")).to.equal(true);
    faults.clear();
    expect(faults.list()).to.deep.equal([]);
  });
});
