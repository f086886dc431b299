import { configVariable } from "hardhat/config";
import type { HardhatUserConfig, SensitiveString } from "hardhat/types/config";
import type { ConfigHooks, HardhatUserConfigValidationError } from "hardhat/types/hooks";
import "./type-extensions.ts";

/** What the plugin makes of `dstack` in a user's configuration. */
export default async (): Promise<Partial<ConfigHooks>> => ({
  validateUserConfig,
  resolveUserConfig: async (userConfig, resolveConfigurationVariable, next) => ({
    ...(await next(userConfig, resolveConfigurationVariable)),
    dstack: { ownerKey: resolveConfigurationVariable(orEmpty(userConfig.dstack?.ownerKey)) },
  }),
});

async function validateUserConfig({ dstack }: HardhatUserConfig): Promise<HardhatUserConfigValidationError[]> {
  if (dstack === undefined) return [];
  if (typeof dstack !== "object" || dstack === null) return [{ path: ["dstack"], message: "Expected an object" }];
  const { ownerKey } = dstack;
  const isVariable = typeof ownerKey === "object" && ownerKey !== null && "name" in ownerKey;
  if (ownerKey === undefined || typeof ownerKey === "string" || isVariable) return [];
  return [{ path: ["dstack", "ownerKey"], message: "Expected a string or a configuration variable" }];
}

/** Most tasks need no key, so a variable that is not set is no error. */
function orEmpty(ownerKey: SensitiveString = configVariable("DSTACK_OWNER_KEY")): SensitiveString {
  return typeof ownerKey === "string" ? ownerKey : { default: "", ...ownerKey };
}
