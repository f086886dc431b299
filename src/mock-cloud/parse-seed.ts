import { z } from "zod";
import { InvalidArgumentError } from "../errors/index.ts";
import { finalities, type MockCloudSeed } from "./options.ts";

const text = z.string().min(1, "must not be empty");
const count = z.int("must be a whole number").min(0, "must not be negative");
const hex = (bytes: number) =>
  z.string().regex(new RegExp(`^(0x)?[0-9a-fA-F]{${bytes * 2}}$`), `must be ${bytes} bytes of hex`);

/** Rejects two items of a list with the same value of a field, because the field names the item. */
function unique<Item extends object>(item: z.ZodType<Item>, ...fields: readonly (keyof Item & string)[]) {
  return z.array(item).superRefine((items, { addIssue }) => {
    for (const field of fields) {
      const seen = new Set<unknown>();
      for (const [index, entry] of items.entries()) {
        const value = entry[field];
        if (value !== undefined && seen.has(value))
          addIssue({ code: "custom", path: [index, field], message: "occurs twice" });
        seen.add(value);
      }
    }
  });
}

const workspace = z.strictObject({
  name: text,
  slug: text.optional(),
  apiKeys: unique(
    z.strictObject({
      key: z.string().regex(/\S/, "An API key must not be empty."),
      username: text.optional(),
      email: text.optional(),
    }),
    "key",
  ).default([]),
});

const kms = z
  .strictObject({
    slug: text,
    url: text.optional(),
    version: text.optional(),
    gatewayAppId: text.optional(),
    rootSecret: hex(32).optional(),
    chainId: z.int("must be a whole number").min(1, "must be at least 1").optional(),
    contractAddress: hex(20).optional(),
    rpc: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).optional(),
    finality: z.enum(finalities, `must be one of ${finalities.join(", ")}`).optional(),
  })
  .superRefine(({ chainId, ...entry }, { addIssue }) => {
    const needsChain = (["contractAddress", "rpc", "finality"] as const).find((field) => entry[field] !== undefined);
    if (chainId === undefined && needsChain !== undefined)
      addIssue({ code: "custom", path: [needsChain], message: "needs chainId too" });
    if (chainId !== undefined && entry.contractAddress === undefined)
      addIssue({ code: "custom", path: ["contractAddress"], message: "is missing, as the KMS has a chainId" });
  });

const node = z.strictObject({
  id: z.int("must be a whole number").min(1, "must be at least 1"),
  name: text,
  deviceId: hex(32),
  region: text.optional(),
  tcbStatus: text.optional(),
  advisoryIds: z.array(z.string()).optional(),
  capacity: z.strictObject({ vcpu: count, memoryMb: count, cvmSlots: count }).optional(),
});

const osImage = z.strictObject({ name: text, version: text, osImageHash: hex(32), isDev: z.boolean().optional() });

const cvm = z.strictObject({
  id: z.string().regex(/^cvm_\w{1,64}$/, "must begin with cvm_"),
  vmUuid: z.uuid("must be a UUID").optional(),
  instanceId: hex(20).optional(),
  name: text,
  appId: hex(20),
  kms: text,
  node: text,
  osImage: text,
  composeFile: text,
  composeHash: hex(32),
  status: z.enum(["running", "stopped"], "must be running or stopped").optional(),
  resource: z.strictObject({ instanceType: text, vcpu: count, memoryMb: count, diskGb: count }).optional(),
  deployerAddress: hex(20).optional(),
});

/** The format of a seed file. docs/mock-cloud.md has a table of it. */
export const seedFileSchema = z.strictObject({
  workspaces: unique(workspace, "name", "slug").default([{ name: "Local", apiKeys: [] }]),
  kms: unique(kms, "slug").default([{ slug: "kms-phala-1" }]),
  nodes: unique(node, "id", "name").default([{ id: 1, name: "node-1", deviceId: "d1".repeat(32) }]),
  osImages: unique(osImage, "name").default([{ name: "dstack-0.5.7", version: "0.5.7", osImageHash: "05".repeat(32) }]),
  cvms: unique(cvm, "id", "vmUuid", "instanceId").default([]),
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
 * @throws InvalidArgumentError that names the path of the first problem, but no value: values may be API keys
 */
export function parseSeed(json: unknown, { apiKey, rpcUrl }: SeedSettings): MockCloudSeed {
  const parsed = seedFileSchema.safeParse(json);
  if (!parsed.success) throw new InvalidArgumentError(describeProblem(parsed.error));
  const { workspaces, kms, nodes, osImages, cvms } = parsed.data;
  return {
    nodes,
    osImages,
    cvms,
    workspaces: workspaces.map((entry, index) => ({
      ...entry,
      apiKeys: index === 0 && apiKey !== undefined ? [...entry.apiKeys, { key: apiKey }] : entry.apiKeys,
    })),
    kms: kms.map(({ chainId, contractAddress, rpc = rpcUrl, finality, ...entry }) => {
      if (chainId === undefined || contractAddress === undefined) return entry;
      if (rpc === undefined)
        throw new InvalidArgumentError(
          `KMS ${entry.slug} needs an RPC endpoint: rpc in the seed, --chain-rpc, or DSTACK_CLOUD_RPC_URL.`,
        );
      return { ...entry, chainId, contractAddress, rpc, finality };
    }),
  };
}

function describeProblem({ issues }: z.ZodError): string {
  const [issue] = issues;
  const path = (issue?.path ?? []).reduce<string>(
    (before, part) => (typeof part === "number" ? `${before}[${part}]` : `${before}${before && "."}${String(part)}`),
    "",
  );
  const message = (issue?.message ?? "").replace(/^Invalid input: /, "").replace(/\.$/, "");
  return path === "" ? `The seed is not valid: ${message}.` : `The seed is not valid at ${path}: ${message}.`;
}
