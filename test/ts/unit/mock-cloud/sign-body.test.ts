import { expect } from "chai";
import { signBody } from "../../../../src/mock-cloud/webhooks/post-event.ts";

describe("a webhook's signature", () => {
  it("equals the official helper's", () => {
    const body =
      '{"id":"evt_1","event":"cvm.updated","version":"1","created_at":"2023-11-14T22:13:20Z","workspace":{"id":"ws","name":"WS"},"data":{"cvm_id":"cvm_1","cvm_name":"demo","app_id":"app_c3","status":"running"}}';
    expect(signBody("whsec_0123456789abcdef", "1700000000", body)).to.equal(
      "sha256=47f964f274dd5034a022d10fc82cb33153c19d3e2c9c3dfcb8181158deae314c",
    );
  });
});
