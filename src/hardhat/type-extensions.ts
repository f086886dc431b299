import type { SensitiveString } from "hardhat/types/config";
import type { FinalityTag } from "../chain/transactions/chain-identity.ts";
import type { DstackConfig } from "../commands/host.ts";

export type { DstackAppConfig, DstackConfig } from "../commands/host.ts";

export interface DstackAppUserConfig {
  /** `0x…` or `app_…`. */
  address: string;
  /** Name or id of its CVM in the cloud. Not needed to find replicas of the app. */
  cvm?: string;
  /** The Hardhat network of its contract, for commands without `--network`. */
  network?: string;
  /** Compose hashes that no prune plan may remove. */
  pins?: string[];
  /**
   * Devices the app may run on. If they are listed, an update and `device add NODE` allow no other device that the
   * cloud names. @default any device that the cloud names
   */
  devices?: string[];
}

export interface DstackUserConfig {
  /** Private key that owns apps on existing chains. @default configVariable("DSTACK_OWNER_KEY"), if it is set */
  ownerKey?: SensitiveString;
  /** Names for apps, for `--app`. An address alone is enough. */
  apps?: Record<string, string | DstackAppUserConfig>;
  /**
   * The DstackKms contract to trust: the key it publishes must vouch for every key an environment is encrypted to.
   * @default configVariable("DSTACK_KMS"), if it is set
   */
  kms?: SensitiveString;
  /** The pinned secp256k1 key of that KMS. No endpoint is then asked for it. */
  kmsPublicKey?: SensitiveString;
  batch?: {
    /**
     * Whether `--batch auto` may let an account begin to delegate to the batch executor (EIP-7702) without asking. The
     * delegation stays. @default false
     */
    delegate?: boolean;
  };
  /**
   * File that records every transaction before it is sent, relative to the project. @default .dstack/ledger.sqlite
   */
  ledger?: string;
  /**
   * The stage at which a transaction counts as done. @default "safe"; on development chains "latest"
   */
  finality?: FinalityTag;
  history?: {
    /**
     * A logs API in the form of Etherscan or Blockscout, such as `https://base.blockscout.com/api`, for apps with a long
     * history. It is not trusted. @default none: the RPC endpoint delivers every event
     */
    index?:
      | string
      | {
          url: string;
          /** @default etherscan if the path ends with /v2/api, else blockscout */
          kind?: "etherscan" | "blockscout";
          /** @default configVariable("DSTACK_INDEX_API_KEY"), if it is set */
          apiKey?: SensitiveString;
        };
  };
  safe?: {
    /**
     * The Safe transaction service for the chain of the apps, such as `https://api.safe.global/tx-service/base`. It is
     * not trusted. @default none: owners pass proposal files to each other
     */
    service?: string;
    /** @default configVariable("DSTACK_SAFE_API_KEY"), if it is set */
    apiKey?: SensitiveString;
  };
  cloud?: {
    /** @default configVariable("PHALA_CLOUD_API_PREFIX"), or Phala's cloud where that is not set */
    baseUrl?: SensitiveString;
    /** @default configVariable("PHALA_CLOUD_API_KEY"), if it is set */
    apiKey?: SensitiveString;
    /** Longest time for one answer, in milliseconds, as `timeout` of a network. @default 30_000 */
    timeout?: number;
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
