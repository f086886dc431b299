import type { Hex } from "../core/ids.ts";

/** What the official clients (CLI, JS, Python, Go) read from the environment, and what this toolkit's tasks do. */
export interface ClientEnvironment {
  readonly PHALA_CLOUD_API_PREFIX: string;
  readonly PHALA_CLOUD_API_KEY: string;
  readonly ETH_RPC_URL: string;
  /** The DstackKms whose published key vouches for the keys that environments are encrypted to. */
  readonly DSTACK_KMS: Hex;
  /** Only where it is a dev account's, whose key everybody knows. */
  readonly PRIVATE_KEY?: Hex;
}

export interface ClientEnvironmentParameters {
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly rpcUrl: string;
  readonly kms: Hex;
  readonly privateKey?: Hex | undefined;
}

export function clientEnvironment(parameters: ClientEnvironmentParameters): ClientEnvironment {
  const { baseUrl, apiKey, rpcUrl, kms, privateKey } = parameters;
  return {
    PHALA_CLOUD_API_PREFIX: baseUrl,
    PHALA_CLOUD_API_KEY: apiKey,
    ETH_RPC_URL: rpcUrl,
    DSTACK_KMS: kms,
    ...(privateKey !== undefined && { PRIVATE_KEY: privateKey }),
  };
}
