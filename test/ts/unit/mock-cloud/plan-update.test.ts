import { expect } from "chai";
import { buildAppCompose } from "../../../../src/core/app-compose.ts";
import { computeComposeHash, hashAppComposeText, writeAppCompose } from "../../../../src/core/compose-hash.ts";
import { InvalidAppComposeError } from "../../../../src/errors/index.ts";
import { isSameAllowedEnvs, planUpdate } from "../../../../src/mock-cloud/services/plan-update.ts";
import type { Workload } from "../../../../src/mock-cloud/store/cvms.ts";

const document = buildAppCompose({ dockerCompose: "services:\n  app:\n    image: nginx:1\n", allowedEnvs: ["A"] });
const settings: Workload["settings"] = {
  instanceType: "tdx.small",
  vcpu: 1,
  memoryMb: 2048,
  diskGb: 40,
  osImage: "dstack",
  listed: false,
  userConfig: null,
  shutdownTimeout: null,
  allowForceStop: null,
  gpus: null,
};

function running(composeText: string): Workload {
  return { composeText, composeHash: hashAppComposeText(composeText), encryptedEnv: "aa", settings };
}

describe("planUpdate", () => {
  const current = running(writeAppCompose(document));

  it("plans the canonical text of the changed document, and its hash", () => {
    const compose = { dockerCompose: "services:\n  app:\n    image: nginx:2\n" };
    const { workload, ...plan } = planUpdate(current, { compose });
    const expected = { ...document, docker_compose_file: compose.dockerCompose };
    expect(plan).to.deep.equal({ isComposeChanged: true, isNoChange: false });
    expect(workload.composeText).to.equal(writeAppCompose(expected));
    expect(workload.composeHash).to.equal(computeComposeHash(expected));
    expect(workload).to.include({ encryptedEnv: "aa" });
  });

  it("keeps a text that is not canonical byte for byte when nothing changes", () => {
    const foreign = running(JSON.stringify(document));
    const { workload, isComposeChanged } = planUpdate(foreign, {
      compose: { dockerCompose: document.docker_compose_file ?? "" },
      encryptedEnv: "bb",
    });
    expect(isComposeChanged).to.equal(false);
    expect(workload).to.deep.equal({ ...foreign, encryptedEnv: "bb" });
  });

  it("keeps unknown keys, and adds those of the request", () => {
    const foreign = running(writeAppCompose({ ...document, x_unknown: [1, { b: 2 }] }));
    const { workload } = planUpdate(foreign, { manifest: { secure_time: true } });
    expect(workload.composeHash).to.equal(
      computeComposeHash({ ...document, x_unknown: [1, { b: 2 }], secure_time: true }),
    );
  });

  it("tells an unchanged document from a change outside the document", () => {
    expect(planUpdate(current, {}).isNoChange).to.equal(true);
    expect(planUpdate(current, { settings: { vcpu: 1 } }).isNoChange).to.equal(true);
    for (const change of [{ settings: { vcpu: 2 } }, { encryptedEnv: "aa" }]) {
      const plan = planUpdate(current, change);
      expect(plan).to.include({ isNoChange: false, isComposeChanged: false });
      expect(plan.workload.composeText).to.equal(current.composeText);
    }
  });

  it("treats the same allowed names in another order as no change", () => {
    const { workload } = planUpdate(current, { compose: { allowedEnvs: ["B", "A"] } });
    const swapped = planUpdate(workload, { compose: { allowedEnvs: ["A", "B"] } });
    expect(swapped.isNoChange).to.equal(true);
    expect(swapped.workload.composeText).to.equal(workload.composeText);
    const other = planUpdate(workload, { compose: { allowedEnvs: ["A", "C"] } }).workload;
    expect(isSameAllowedEnvs(workload.composeText, other.composeText)).to.equal(false);
    expect(isSameAllowedEnvs(workload.composeText, swapped.workload.composeText)).to.equal(true);
  });

  it("throws for a compose file that no guest could run", () => {
    expect(() => planUpdate(current, { compose: { dockerCompose: "services: [" } })).to.throw(InvalidAppComposeError);
  });
});
