import { z } from "zod";
import type { MockCloudSeed } from "./options.ts";

const kmsBase = {
  slug: z.string(),
  url: z.string().optional(),
  version: z.string().optional(),
  gatewayAppId: z.string().optional(),
  rootSecret: z.string().optional(),
};

const seedFileSchema = z.strictObject({
  workspaces: z
    .array(
      z.strictObject({
        name: z.string(),
        slug: z.string().optional(),
        apiKeys: z
          .array(
            z.strictObject({
              key: z.string().regex(/\S/, "An API key must not be empty."),
              username: z.string().optional(),
              email: z.string().optional(),
            }),
          )
          .default([]),
      }),
    )
    .default([{ name: "Local", apiKeys: [] }]),
  kms: z
    .array(
      z.union([
        z.strictObject(kmsBase),
        z.strictObject({
          ...kmsBase,
          chainId: z.number().int(),
          contractAddress: z.string(),
          rpc: z.string().optional(),
        }),
      ]),
    )
    .default([{ slug: "kms-phala-1" }]),
  nodes: z
    .array(
      z.strictObject({
        id: z.number().int(),
        name: z.string(),
        deviceId: z.string(),
        region: z.string().optional(),
        tcbStatus: z.string().optional(),
        advisoryIds: z.array(z.string()).optional(),
        capacity: z
          .strictObject({ vcpu: z.number().int(), memoryMb: z.number().int(), cvmSlots: z.number().int() })
          .optional(),
      }),
    )
    .default([{ id: 1, name: "node-1", deviceId: "d1".repeat(32) }]),
  osImages: z
    .array(
      z.strictObject({
        name: z.string(),
        version: z.string(),
        osImageHash: z.string(),
        isDev: z.boolean().optional(),
      }),
    )
    .default([{ name: "dstack-0.5.7", version: "0.5.7", osImageHash: "05".repeat(32) }]),
});

export interface SeedSettings {
  /** Added to the keys of the first workspace. */
  readonly apiKey: string | undefined;
  /** RPC URL for on-chain KMS that name none. */
  readonly rpcUrl: string | undefined;
}

/**
 * Parses a seed from JSON. Each part that is left out gets one default object, which is enough for off-chain CVMs.
 *
 * @throws ZodError, or Error when an on-chain KMS has no endpoint
 */
export function parseSeed(json: unknown, { apiKey, rpcUrl }: SeedSettings): MockCloudSeed {
  const { workspaces, kms, nodes, osImages } = seedFileSchema.parse(json);
  return {
    nodes,
    osImages,
    workspaces: workspaces.map((workspace, index) => ({
      ...workspace,
      apiKeys: index === 0 && apiKey !== undefined ? [...workspace.apiKeys, { key: apiKey }] : workspace.apiKeys,
    })),
    kms: kms.map((entry) => {
      if (!("chainId" in entry)) return entry;
      const rpc = entry.rpc ?? rpcUrl;
      if (rpc === undefined) throw new Error(`KMS ${entry.slug} needs an RPC endpoint: rpc, or DSTACK_CLOUD_RPC_URL.`);
      return { ...entry, rpc };
    }),
  };
}
