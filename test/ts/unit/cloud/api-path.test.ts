import { expect } from "chai";
import { apiPath } from "../../../../src/cloud/replies.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";

describe("apiPath", () => {
  it("keeps every identifier inside its segment", () => {
    const hostile = "a/../../kms?x=1#y %2e ü";
    const path = apiPath`/cvms/${hostile}/envs`;
    const url = new URL(`https://api.example/v1${path}`);
    expect(url.pathname.split("/")).to.have.length(5);
    expect(decodeURIComponent(url.pathname.split("/")[3] ?? "")).to.equal(hostile);
    expect(url.search + url.hash).to.equal("");
  });

  it("leaves the usual identifiers as they are", () => {
    for (const name of ["cvm_ab12CD34", "my-app", "app_00ff", "0x00ff", "9f5d6d0e-6f0a-4a86-9d4b-9d3d0d1f0a11"]) {
      expect(apiPath`/cvms/${name}`).to.equal(`/cvms/${name}`);
    }
  });

  it("refuses identifiers that would address another endpoint", () => {
    for (const name of ["", ".", ".."]) expect(() => apiPath`/cvms/${name}/state`, name).to.throw(InvalidArgumentError);
  });
});
