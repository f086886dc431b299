import { expect } from "chai";
import { buildMockCloud } from "../../../../src/mock-cloud/index.ts";

describe("an id of any length", () => {
  for (const length of [100, 101, 10_000]) {
    it(`is searched and not found at ${length} characters`, async () => {
      const cloud = await buildMockCloud({ workspaces: [{ name: "local", apiKeys: [{ key: "phak_local" }] }] });
      try {
        for (const path of ["/kms/ID/nodes", "/cvms/ID", "/workspaces/ID"]) {
          const url = `/api/v1${path.replace("ID", "x".repeat(length))}`;
          const { statusCode } = await cloud.app.inject({ method: "GET", url, headers: { "x-api-key": "phak_local" } });
          expect(statusCode, path).to.equal(404);
        }
      } finally {
        await cloud.close();
      }
    });
  }
});
