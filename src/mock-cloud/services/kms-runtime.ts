import { createPublicClient, http, type PublicClient } from "viem";
import type { Hex } from "../../core/hex.ts";
import type { AppId } from "../../core/ids.ts";
import { kmsUnavailable } from "../errors.ts";
import type { KmsSeed, OnChainKmsSeed } from "../options.ts";
import {
  type AppKey,
  defaultRootSecret,
  deriveAppKey,
  deriveSigningPublicKey,
  parseRootSecret,
  signAppKey,
} from "./kms-keys.ts";

interface Live {
  readonly rootSecret: Hex;
  readonly client: PublicClient | undefined;
  /** The endpoint, where clients on this machine may know it too. */
  readonly localRpcUrl: string | undefined;
  /** Deriving one takes milliseconds, and every answer about a CVM shows one. */
  readonly appKeys: Map<AppId, AppKey>;
}

/** The parts of a KMS that live in memory only: its secret, and the backend's connection to its chain. */
export class KmsRuntime {
  readonly #live = new Map<string, Live>();

  connect(kmsId: string, seed: KmsSeed): void {
    const rootSecret = seed.rootSecret === undefined ? defaultRootSecret(seed.slug) : parseRootSecret(seed.rootSecret);
    const client = seed.chainId === undefined ? undefined : connectChain(seed.rpc);
    const localRpcUrl = seed.chainId === undefined ? undefined : findLocalUrl(seed.rpc);
    this.#live.set(kmsId, { rootSecret, client, localRpcUrl, appKeys: new Map() });
  }

  /** The backend's own view of the KMS's chain; undefined while none is configured. */
  chain(kmsId: string): PublicClient | undefined {
    return this.#live.get(kmsId)?.client;
  }

  /** An endpoint of the chain that may be told to clients: one on this machine, without credentials. */
  localRpcUrl(kmsId: string): string | undefined {
    return this.#live.get(kmsId)?.localRpcUrl;
  }

  /** Whether the KMS answers: one that is known from the state file only was not given at this start. */
  isUp(kmsId: string): boolean {
    return this.#live.has(kmsId);
  }

  /** @throws ApiError 503 while the KMS is down, as all below */
  appKey(kmsId: string, appId: AppId): AppKey {
    const { rootSecret, appKeys } = this.#require(kmsId);
    const appKey = appKeys.get(appId) ?? deriveAppKey(rootSecret, appId);
    appKeys.set(appId, appKey);
    return appKey;
  }

  signAppKey(kmsId: string, appId: AppId, publicKey: Hex): Hex {
    return signAppKey(this.#require(kmsId).rootSecret, appId, publicKey);
  }

  signingPublicKey(kmsId: string): Hex {
    return deriveSigningPublicKey(this.#require(kmsId).rootSecret);
  }

  #require(kmsId: string): Live {
    const live = this.#live.get(kmsId);
    if (!live) throw kmsUnavailable(kmsId);
    return live;
  }
}

function connectChain(rpc: OnChainKmsSeed["rpc"]): PublicClient {
  // No retries inside: the callers retry themselves, and must learn of the first fault.
  const transport = typeof rpc === "string" ? http(rpc, { retryCount: 0, timeout: 5_000 }) : rpc;
  return createPublicClient({ transport, cacheTime: 0 });
}

/** Other endpoints often carry a key in their path, which is nobody else's business. */
function findLocalUrl(rpc: OnChainKmsSeed["rpc"]): string | undefined {
  if (typeof rpc !== "string" || !URL.canParse(rpc)) return undefined;
  const { hostname, username } = new URL(rpc);
  return username === "" && ["127.0.0.1", "localhost", "[::1]"].includes(hostname) ? rpc : undefined;
}
