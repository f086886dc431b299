import type { StartMockCloudOptions } from "../../../src/mock-cloud/index.ts";
import { apiKey } from "./cloud-world.ts";

/** The seed of a cloud with CVMs on an off-chain KMS. */
export function offChainPlatform(): StartMockCloudOptions {
  return {
    workspaces: [{ name: "Test", apiKeys: [{ key: apiKey }] }],
    kms: [{ slug: "kms-phala-1" }],
    nodes: [{ id: 1, name: "node-1", deviceId: "d1".repeat(32) }],
    osImages: [{ name: "dstack-0.5.7", version: "0.5.7", osImageHash: "05".repeat(32) }],
    rolloverMs: 0,
  };
}
