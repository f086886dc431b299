import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { parseAppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { UnusableFileError } from "../../../../src/errors/index.ts";
import {
  loadPreparedUpdates,
  type PreparedUpdates,
  removePreparedUpdates,
  savePreparedUpdates,
} from "../../../../src/update/prepared-file.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const digest = `0x${"d1".repeat(32)}` as const;
const token = "11111111-2222-4333-8444-555555555555";
const update = {
  ...{ cvm: "cvm_1", name: "my-app", appId: parseAppId("a1".repeat(20)), chainId: 8453, isDone: false },
  previousComposeHash: parseComposeHash("01".repeat(32)),
  composeHash: parseComposeHash("02".repeat(32)),
  deviceId: parseDeviceId("d0".repeat(32)),
  ...{ token, expiresAt: "2026-12-15T06:00:00.000Z", environment: "ee".repeat(32) },
  draft: { dockerCompose: "services: {}\n", allowedEnvs: ["A"], encryptedEnvironment: "c0ffee" },
  document: { docker_compose_file: "services: {}\n", features: ["kms"], extra: { deep: [1, null] } },
};
const prepared: PreparedUpdates = {
  request: "fe".repeat(32),
  updates: [update, { ...update, cvm: "cvm_2", deviceId: undefined, token: undefined, expiresAt: undefined }],
};

describe("the file of prepared updates", () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "dstack-prepared-"));
    path = join(directory, "prepared.json");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("returns what was saved, for this user alone, until it is removed", async () => {
    expect(await loadPreparedUpdates(path, digest)).to.equal(undefined);
    await savePreparedUpdates(path, digest, prepared);
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(await loadPreparedUpdates(path, digest)).to.deep.equal(prepared);
    await removePreparedUpdates(path);
    await removePreparedUpdates(path);
    expect(await loadPreparedUpdates(path, digest)).to.equal(undefined);
  });

  it("refuses the file of another plan, a changed file and a link, and quotes no token", async () => {
    await savePreparedUpdates(path, digest, prepared);
    await catchError(loadPreparedUpdates(path, `0x${"d2".repeat(32)}`), UnusableFileError);
    const text = readFileSync(path, "utf8");
    for (const changed of [
      text.slice(0, -20),
      text.replace('"schemaVersion":1', '"schemaVersion":2'),
      text.replace('"isDone":false', '"isDone":false,"more":1'),
      text.replace("0x0202", "0x02"),
      text.replace('"docker_compose_file":"services: {}\\n"', '"docker_compose_file":5'),
    ]) {
      writeFileSync(path, changed);
      const error = await catchError(loadPreparedUpdates(path, digest), UnusableFileError);
      expect(`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`).to.not.include(token);
    }
    const link = join(directory, "link.json");
    symlinkSync(path, link);
    await catchError(loadPreparedUpdates(link, digest), UnusableFileError);
  });
});
