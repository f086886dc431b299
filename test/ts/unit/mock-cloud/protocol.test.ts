import { expect } from "chai";
import {
  cvmDetail20251028Schema,
  cvmDetail20260121Schema,
  type KmsInfo,
  newestApiVersion,
  parseHashRegistration,
  resolveApiVersion,
} from "../../../../src/cloud/protocol.ts";

const kmsInfo: KmsInfo = {
  id: "kms_1",
  slug: "kms-base-1",
  url: "https://kms.example",
  version: "0.5.7",
  chain_id: 8453,
  kms_contract_address: `0x${"1".repeat(40)}`,
  gateway_app_id: null,
};
const registration = {
  compose_hash: "ab".repeat(32),
  app_id: "c3".repeat(20),
  device_id: "de".repeat(32),
  kms_info: kmsInfo,
};
const details = Object.entries(registration).map(([field, value]) => ({ field, value }));

describe("wire protocol", () => {
  it("reads a 465 from its details, ignoring the flat copies", () => {
    const body = { error_code: "ERR-01-005", message: "Register it.", details, compose_hash: "stale" };
    expect(parseHashRegistration(body)).to.deep.equal(registration);
  });

  it("reads a 465 with flat copies only", () => {
    expect(parseHashRegistration({ error_code: "ERR-01-005", message: "", ...registration })).to.deep.equal(
      registration,
    );
  });

  it("treats a null detail as absent", () => {
    const withNull = [...details, { field: "commit_token", value: null }];
    const parsed = parseHashRegistration({ error_code: "ERR-01-005", message: "", details: withNull });
    expect(parsed.commit_token).to.equal(undefined);
  });

  it("refuses a 465 without a compose hash, or without a key of kms_info", () => {
    const { compose_hash: _, ...hashless } = registration;
    expect(() => parseHashRegistration({ error_code: "ERR-01-005", message: "", ...hashless })).to.throw();
    const { url: __, ...partial } = kmsInfo;
    const broken = { error_code: "ERR-01-005", message: "", ...registration, kms_info: partial };
    expect(() => parseHashRegistration(broken)).to.throw();
  });

  it("keeps unknown keys of both CVM shapes, and tells the shapes apart by the type of the id", () => {
    const flat = {
      id: 123,
      name: "my-app-cvm",
      status: "running",
      teepod_id: 5,
      app_id: "c3".repeat(20),
      vm_uuid: null,
      instance_id: null,
      vcpu: 1,
      memory: 2048,
      disk_size: 40,
      base_image: null,
      encrypted_env_pubkey: null,
      brand_new: true,
    };
    const nested = { id: "cvm_ab12CD34", name: "x", status: "running", resource: {}, gateway: {}, brand_new: true };
    expect(cvmDetail20251028Schema.parse(flat)).to.deep.equal(flat);
    expect(cvmDetail20260121Schema.parse(nested)).to.deep.equal(nested);
    expect(cvmDetail20251028Schema.safeParse(nested).success).to.equal(false);
    expect(cvmDetail20260121Schema.safeParse(flat).success).to.equal(false);
  });

  it("maps a version header to the newest version that is not newer", () => {
    const cases: [header: string | undefined, version: string | undefined][] = [
      [undefined, newestApiVersion],
      ["LATEST", newestApiVersion],
      ["2099-01-01", newestApiVersion],
      ["2026-01-21", "2026-01-21"],
      ["2026-01-20", "2025-10-28"],
      ["2025-05-31", "2025-10-28"],
      ["v1", undefined],
      ["2026-13-45", undefined],
    ];
    for (const [header, version] of cases) expect(resolveApiVersion(header), String(header)).to.equal(version);
  });
});
