import type { SensitiveString } from "hardhat/types/config";
import type { DstackConfig } from "../commands/host.ts";

export type { DstackAppConfig, DstackConfig } from "../commands/host.ts";

export interface DstackAppUserConfig {
  /** `0x…` or `app_…`. */
  address: string;
  /** Name or id of its CVM in the cloud; replicas of the app are found without it. */
  cvm?: string;
  /** The Hardhat network its contract lives on, for commands without `--network`. */
  network?: string;
  /** Compose hashes that no prune plan may remove. */
  pins?: string[];
  /**
   * Devices the app may be on. Where they are listed, an update allows no other one on chain, whatever the cloud names, and
   * `device add NODE` neither. @default any that the cloud names
   */
  devices?: string[];
}

export interface DstackUserConfig {
  /** Private key that owns apps on existing chains. @default configVariable("DSTACK_OWNER_KEY"), if it is set */
  ownerKey?: SensitiveString;
  /** Names for apps, to be given to `--app`. An address alone is enough. */
  apps?: Record<string, string | DstackAppUserConfig>;
  /**
   * The DstackKms contract that is trusted: the key it publishes must vouch for every key an environment is encrypted to.
   * @default configVariable("DSTACK_KMS"), if it is set
   */
  kms?: SensitiveString;
  /** The secp256k1 key of that KMS, pinned: then no endpoint is asked for it. */
  kmsPublicKey?: SensitiveString;
  cloud?: {
    /** @default configVariable("PHALA_CLOUD_API_PREFIX"), or Phala's cloud where that is not set */
    baseUrl?: SensitiveString;
    /** @default configVariable("PHALA_CLOUD_API_KEY"), if it is set */
    apiKey?: SensitiveString;
  };
}

declare module "hardhat/types/config" {
  interface HardhatUserConfig {
    dstack?: DstackUserConfig;
  }

  interface HardhatConfig {
    readonly dstack: DstackConfig;
  }
}
