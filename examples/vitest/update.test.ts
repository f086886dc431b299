import { createClient } from "@phala/cloud";
import { startWorld, type World } from "dstack-toolkit/world";
import { afterAll, beforeAll, expect, test } from "vitest";

let world: World;

beforeAll(async () => {
  world = await startWorld({ cloud: { rolloverMs: 0 } });
}, 60_000);
afterAll(() => world.close());

test("the official client reads a CVM of the local world", async () => {
  const { PHALA_CLOUD_API_PREFIX: baseURL, PHALA_CLOUD_API_KEY: apiKey } = world.environment;
  const cloud = createClient({ baseURL, apiKey });
  const cvm = await cloud.getCvmInfo({ id: "onchain-app" });
  expect(cvm).toMatchObject({ name: "onchain-app", status: "running" });
});
