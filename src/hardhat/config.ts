import { configVariable } from "hardhat/config";
import type { ConfigurationVariableResolver, HardhatUserConfig, SensitiveString } from "hardhat/types/config";
import type { ConfigHooks, HardhatUserConfigValidationError } from "hardhat/types/hooks";
import { z } from "zod";
import { parseAddress } from "../chain/client.ts";
import { finalityTags } from "../chain/transactions/chain-identity.ts";
import type { LazySetting } from "../commands/host.ts";
import { parseKmsPublicKey } from "../core/encryption-key-signature.ts";
import { parseAppId, parseComposeHash, parseDeviceId } from "../core/ids.ts";
import { isDstackError } from "../errors/index.ts";
import { baseChainDescriptor, baseChainId, baseSepoliaChainDescriptor } from "../world/chain/predeploys.ts";
import type { DstackAppConfig, DstackConfig, DstackUserConfig } from "./type-extensions.ts";

/** Validates and resolves `dstack` in a user's configuration, and tells Hardhat the hardforks of Base. */
export default async (): Promise<Partial<ConfigHooks>> => ({
  extendUserConfig: async (userConfig, next) => {
    const extended = await next(userConfig);
    return { ...extended, chainDescriptors: { ...baseDescriptors, ...extended.chainDescriptors } };
  },
  validateUserConfig,
  resolveUserConfig: async (userConfig, resolveConfigurationVariable, next) => ({
    ...(await next(userConfig, resolveConfigurationVariable)),
    dstack: resolve(userConfig.dstack ?? {}, resolveConfigurationVariable),
  }),
});

/** Without these, a fork of Base cannot be started. A user's own descriptions come first. */
const baseDescriptors = { [baseChainId]: baseChainDescriptor, 84532: baseSepoliaChainDescriptor };

const phalaCloud = "https://cloud-api.phala.com/api/v1";

const variable = z.looseObject({ _type: z.literal("ConfigurationVariable"), name: z.string() });
const sensitive = z.union([z.string(), variable], { error: "Expected a string or a configuration variable" });
const appAddress = parsedBy(parseAppId);
const app = z.union([
  appAddress,
  z.strictObject({
    address: appAddress,
    cvm: z.string().min(1).optional(),
    network: z.string().min(1).optional(),
    pins: z.array(parsedBy(parseComposeHash)).optional(),
    devices: z.array(parsedBy(parseDeviceId)).optional(),
  }),
]);
const alias = z
  .string()
  .regex(/^(?!0x|app_|[0-9a-f]{40}$)[\w.-]+$/i, "A name of letters, digits, _ . and -, unlike an address");
const indexUrl = z.url({ protocol: /^https?$/, error: "Expected the http(s) address of a logs API" });
const schema = z.strictObject({
  ownerKey: sensitive.optional(),
  apps: z.record(alias, app).optional(),
  kms: z.union([parsedBy((raw) => parseAddress("The KMS address", raw)), variable]).optional(),
  kmsPublicKey: z.union([parsedBy(parseKmsPublicKey), variable]).optional(),
  batch: z.strictObject({ delegate: z.boolean().optional() }).optional(),
  ledger: z.string().min(1).optional(),
  finality: z.enum(finalityTags).optional(),
  history: z
    .strictObject({
      index: z
        .union([
          indexUrl,
          z.strictObject({
            url: indexUrl,
            kind: z.enum(["etherscan", "blockscout"]).optional(),
            apiKey: sensitive.optional(),
          }),
        ])
        .optional(),
    })
    .optional(),
  safe: z
    .strictObject({
      service: z
        .url({ protocol: /^https?$/, error: "Expected the http(s) address of a Safe transaction service" })
        .optional(),
      apiKey: sensitive.optional(),
    })
    .optional(),
  cloud: z
    .strictObject({
      baseUrl: sensitive.optional(),
      apiKey: sensitive.optional(),
      timeout: z.int().positive().optional(),
    })
    .optional(),
});

async function validateUserConfig({ dstack }: HardhatUserConfig): Promise<HardhatUserConfigValidationError[]> {
  if (dstack === undefined) return [];
  const { error } = schema.safeParse(dstack);
  return (error?.issues ?? []).flatMap(innermost).map(({ path, message }) => ({ path: ["dstack", ...path], message }));
}

interface Issue {
  readonly path: (string | number)[];
  readonly message: string;
}

/**
 * If a value is neither an address nor a valid object, report what is wrong inside the object: that is more precise.
 */
function innermost(issue: z.core.$ZodIssue): Issue[] {
  const path = issue.path.filter((part) => typeof part !== "symbol");
  const alternatives = issue.code === "invalid_union" ? issue.errors : [];
  const best = alternatives.find((issues) => issues.some((inner) => inner.path.length > 0)) ?? alternatives[0];
  const isOwnMessage = issue.message !== "Invalid input";
  if (best === undefined || isOwnMessage) return [{ path, message: issue.message }];
  return best.flatMap((inner) => innermost({ ...inner, path: [...issue.path, ...inner.path] }));
}

function parsedBy(parse: (raw: string) => string) {
  return z.string().superRefine((raw, context) => {
    try {
      parse(raw);
    } catch (error) {
      if (!isDstackError(error)) throw error;
      context.addIssue({ code: "custom", message: error.message });
    }
  });
}

function resolve(user: DstackUserConfig, variable: ConfigurationVariableResolver): DstackConfig {
  const {
    ownerKey,
    apps = {},
    kms,
    kmsPublicKey = "",
    batch = {},
    ledger,
    finality,
    history = {},
    safe = {},
    cloud = {},
  } = user;
  const orElse = (value: SensitiveString, fallback: string) =>
    variable(typeof value === "string" ? value : { default: fallback, ...value });
  return {
    ownerKey: orElse(ownerKey ?? configVariable("DSTACK_OWNER_KEY"), ""),
    apps: Object.fromEntries(Object.entries(apps).map(([name, app]) => [name, resolveApp(app)])),
    kms: orElse(kms ?? configVariable("DSTACK_KMS"), ""),
    kmsPublicKey: orElse(kmsPublicKey, ""),
    batch: { delegate: batch.delegate ?? false },
    ledger,
    finality,
    history: resolveHistory(history, (value) => orElse(value ?? configVariable("DSTACK_INDEX_API_KEY"), "")),
    safe: { service: safe.service, apiKey: orElse(safe.apiKey ?? configVariable("DSTACK_SAFE_API_KEY"), "") },
    cloud: {
      baseUrl: orElse(cloud.baseUrl ?? configVariable("PHALA_CLOUD_API_PREFIX"), phalaCloud),
      apiKey: orElse(cloud.apiKey ?? configVariable("PHALA_CLOUD_API_KEY"), ""),
      timeoutMs: cloud.timeout,
    },
  };
}

function resolveHistory(
  { index }: NonNullable<DstackUserConfig["history"]>,
  keyOf: (value: SensitiveString | undefined) => LazySetting,
): DstackConfig["history"] {
  if (index === undefined) return { index, indexApiKey: keyOf(undefined) };
  if (typeof index === "string") return { index: { url: index, kind: undefined }, indexApiKey: keyOf(undefined) };
  const { url, kind, apiKey } = index;
  return { index: { url, kind }, indexApiKey: keyOf(apiKey) };
}

function resolveApp(user: NonNullable<DstackUserConfig["apps"]>[string]): DstackAppConfig {
  const { address, cvm, network, pins = [], devices } = typeof user === "string" ? { address: user } : user;
  return {
    address: parseAppId(address),
    cvm,
    network,
    pins: pins.map(parseComposeHash),
    devices: devices?.map(parseDeviceId),
  };
}
