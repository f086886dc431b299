import type { ResolvedConfigurationVariable, SensitiveString } from "hardhat/types/config";

export interface DstackUserConfig {
  /** Private key that owns apps on existing chains. @default configVariable("DSTACK_OWNER_KEY"), if it is set */
  ownerKey?: SensitiveString;
}

export interface DstackConfig {
  /** Empty where there is none. */
  readonly ownerKey: ResolvedConfigurationVariable;
}

declare module "hardhat/types/config" {
  interface HardhatUserConfig {
    dstack?: DstackUserConfig;
  }

  interface HardhatConfig {
    readonly dstack: DstackConfig;
  }
}
