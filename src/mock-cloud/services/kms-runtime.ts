import { createPublicClient, http, type PublicClient, type Transport } from "viem";
import type { AppId, Hex } from "../../core/ids.ts";
import { kmsUnavailable } from "../errors.ts";
import { type ChainFaultsParameters, faultyTransport } from "../faults/faulty-transport.ts";
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
  readonly transport: Transport | undefined;
  readonly client: PublicClient | undefined;
  /** The endpoint, where clients on this machine may know it too. */
  readonly localRpcUrl: string | undefined;
  /** Deriving one takes milliseconds, and every answer about a CVM shows one. */
  readonly appKeys: Map<AppId, AppKey>;
}

const chainFaults = ["receipt-invisible", "stale-state", "rpc-error", "rpc-timeout"] as const;

/** The parts of a KMS that live in memory only: its secret, and the backend's connection to its chain. */
export class KmsRuntime {
  readonly #live = new Map<string, Live>();
  readonly #faults: ChainFaultsParameters;

  constructor(faults: ChainFaultsParameters) {
    this.#faults = faults;
  }

  connect(kmsId: string, seed: KmsSeed): void {
    const rootSecret = seed.rootSecret === undefined ? defaultRootSecret(seed.slug) : parseRootSecret(seed.rootSecret);
    const transport = seed.chainId === undefined ? undefined : toTransport(seed.rpc);
    const client = transport && connectChain(transport);
    const localRpcUrl = seed.chainId === undefined ? undefined : findLocalUrl(seed.rpc);
    this.#live.set(kmsId, { rootSecret, transport, client, localRpcUrl, appKeys: new Map() });
  }

  /**
   * The backend's own view of the KMS's chain; undefined while none is configured.
   *
   * @param cvm hashid of the CVM for whose sake the chain is read, whose faults then count
   */
  chain(kmsId: string, cvm?: string): PublicClient | undefined {
    const live = this.#live.get(kmsId);
    if (!live?.transport || !this.#faults.faults.has(...chainFaults)) return live?.client;
    return connectChain(faultyTransport(live.transport, { ...this.#faults, cvm }));
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

function toTransport(rpc: OnChainKmsSeed["rpc"]): Transport {
  // No retries inside: the callers retry themselves, and must learn of the first fault.
  if (typeof rpc !== "string") return rpc;
  // A followed redirect would hand the key in the URL's user part to another address.
  return http(rpc, { retryCount: 0, timeout: 5_000, fetchOptions: { redirect: "manual" } });
}

function connectChain(transport: Transport): PublicClient {
  return createPublicClient({ transport, cacheTime: 0 });
}

/** Other endpoints often carry a key in their path, which is nobody else's business. */
function findLocalUrl(rpc: OnChainKmsSeed["rpc"]): string | undefined {
  if (typeof rpc !== "string" || !URL.canParse(rpc)) return undefined;
  const { hostname, username } = new URL(rpc);
  return username === "" && ["127.0.0.1", "localhost", "[::1]"].includes(hostname) ? rpc : undefined;
}
