import { createHash, hkdfSync } from "node:crypto";
import { x25519 } from "@noble/curves/ed25519";
import { secp256k1 } from "@noble/curves/secp256k1";
import {
  bytesToHex,
  createPublicClient,
  type EIP1193RequestFn,
  hexToBytes,
  http,
  isHex,
  keccak256,
  type PublicClient,
  stringToBytes,
  type Transport,
} from "viem";
import type { KmsOnChainDetail } from "../../cloud/protocol.ts";
import { hashEncryptionKeyStatement } from "../../core/encryption-key-signature.ts";
import { type AppId, type Hex, parseFixedHex, withoutPrefix } from "../../core/ids.ts";
import { createSecretCleaner, type SecretCleaner, secretsOfRequest } from "../../core/secrets.ts";
import { dstackKmsAbi } from "../../generated/abi.ts";
import { kmsNotFound, kmsUnavailable } from "../errors.ts";
import { type ChainFaultsParameters, faultyTransport } from "../faults/faults.ts";
import type { Finality, KmsSeed, OnChainKmsSeed } from "../options.ts";
import type { AwaitedTag } from "../store/operations.ts";
import type { Kms, Platform } from "../store/platform.ts";

interface Live {
  readonly rootSecret: Hex;
  readonly transport: Transport | undefined;
  readonly client: PublicClient | undefined;
  /** The RPC URL, if it may be shown to clients on this machine. */
  readonly localRpcUrl: string | undefined;
  readonly finality: Finality | undefined;
  /** Cached, because deriving a key takes milliseconds and every answer about a CVM shows one. */
  readonly appKeys: Map<AppId, AppKey>;
}

const chainFaults = ["receipt-invisible", "stale-state", "rpc-error", "rpc-timeout"] as const;

/** The parts of a KMS that exist in memory only: its root secret and the backend's connection to its chain. */
export class KmsRuntime {
  readonly #live = new Map<string, Live>();
  readonly #faults: ChainFaultsParameters;
  readonly #rpcTimeoutMs: number;
  readonly #finality: Finality;

  /**
   * @param rpcTimeoutMs for the whole answer of an endpoint that is named by a URL
   * @param finality of each KMS whose seed names none
   */
  constructor(faults: ChainFaultsParameters, rpcTimeoutMs = 5_000, finality: Finality = "latest") {
    this.#faults = faults;
    this.#rpcTimeoutMs = rpcTimeoutMs;
    this.#finality = finality;
  }

  connect(kmsId: string, seed: KmsSeed): void {
    const rootSecret = seed.rootSecret === undefined ? defaultRootSecret(seed.slug) : parseRootSecret(seed.rootSecret);
    const transport =
      seed.chainId === undefined ? undefined : withCleanErrors(toTransport(seed.rpc, this.#rpcTimeoutMs));
    const client = transport && connectChain(transport);
    const localRpcUrl = seed.chainId === undefined ? undefined : findLocalUrl(seed.localRpcUrl ?? seed.rpc);
    const finality = seed.chainId === undefined ? undefined : seed.finality;
    this.#live.set(kmsId, { rootSecret, transport, client, localRpcUrl, finality, appKeys: new Map() });
  }

  /** The tag that updates of this KMS's CVMs wait for. Null if they wait for none. */
  awaitedTag(kmsId: string): AwaitedTag | null {
    const finality = this.#live.get(kmsId)?.finality ?? this.#finality;
    return finality === "latest" ? null : finality;
  }

  /**
   * The backend's own client for the KMS's chain. Undefined if no endpoint is configured.
   *
   * @param cvm hashid of the CVM that the chain is read for; faults set for this CVM apply
   */
  chain(kmsId: string, cvm?: string): PublicClient | undefined {
    const live = this.#live.get(kmsId);
    if (!live?.transport || !this.#faults.faults.has(...chainFaults)) return live?.client;
    return connectChain(faultyTransport(live.transport, { ...this.#faults, cvm }));
  }

  /** The chain's RPC URL, if clients may see it: it must be on this machine and contain no credentials. */
  localRpcUrl(kmsId: string): string | undefined {
    return this.#live.get(kmsId)?.localRpcUrl;
  }

  /** Whether the KMS is running. A KMS that is in the state file but not in this start's seed is not running. */
  isUp(kmsId: string): boolean {
    return this.#live.has(kmsId);
  }

  /** @throws ApiError 503 while the KMS is down. The methods below throw the same error. */
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

function toTransport(rpc: OnChainKmsSeed["rpc"], timeoutMs: number): Transport {
  // The transport does not retry: the callers retry, and they must see the first fault.
  if (typeof rpc !== "string") return rpc;
  // A redirect could send the credentials in the URL to another host, so redirects are not followed.
  return http(rpc, {
    retryCount: 0,
    timeout: 0,
    fetchFn: async (input, init) => {
      // The time limit covers the whole answer. viem's own time limit covers only the headers.
      const timeout = AbortSignal.timeout(timeoutMs);
      const signal = init?.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
      const response = await fetch(input, { ...init, redirect: "manual", signal });
      if (response.status < 400) return response;
      // viem loses the status of an error if its body is not the JSON that its header announces.
      const { body, status, statusText } = response;
      return new Response(body, { status, statusText, headers: { "content-type": "text/plain" } });
    },
  });
}

function connectChain(transport: Transport): PublicClient {
  return createPublicClient({ transport, cacheTime: 0 });
}

/** A client of one endpoint, whose errors contain no secret of its URL. */
export function connectEndpoint(rpc: string, timeoutMs: number): PublicClient {
  return connectChain(withCleanErrors(toTransport(rpc, timeoutMs)));
}

/**
 * Removes the secrets of the requests from the texts of their errors. These texts become events, states of operations
 * and answers of the API, and viem's errors contain the URL.
 */
function withCleanErrors(transport: Transport): Transport {
  return (config) => {
    const way = transport(config);
    const request = async (...call: Parameters<EIP1193RequestFn>) => {
      try {
        return await way.request(...call);
      } catch (error) {
        cleanInPlace(error, createSecretCleaner(secretsOfRequest(way, error)));
        throw error;
      }
    };
    return { ...way, request: request as EIP1193RequestFn };
  };
}

/** Changes the errors in place: callers distinguish an outage from a contract's answer by viem's classes and fields. */
function cleanInPlace(error: unknown, { cleanDeep }: SecretCleaner): void {
  const links = new Set<object>();
  // The innermost error is the endpoint's own, a plain object.
  for (
    let link = error;
    typeof link === "object" && link !== null && !links.has(link);
    link = Reflect.get(link, "cause")
  ) {
    links.add(link);
    for (const field of ["message", "shortMessage", "details", "metaMessages", "url", "stack", "data"]) {
      const value: unknown = Reflect.get(link, field);
      // Return data is decoded.
      if (value !== undefined && !isHex(value)) Reflect.set(link, field, cleanDeep(value));
    }
  }
}

/** Remote RPC URLs often contain an API key in their path, so clients see only local ones. */
function findLocalUrl(rpc: OnChainKmsSeed["rpc"]): string | undefined {
  if (typeof rpc !== "string" || !URL.canParse(rpc)) return undefined;
  const { hostname, username } = new URL(rpc);
  return username === "" && ["127.0.0.1", "localhost", "[::1]"].includes(hostname) ? rpc : undefined;
}

const chains: ReadonlyMap<string, { readonly name: string; readonly id: number }> = new Map([
  ["base", { name: "Base", id: 8453 }],
  ["ethereum", { name: "Ethereum", id: 1 }],
]);

/**
 * Lists the KMS contracts of a chain. For each, reads from the chain which of the cloud's devices and OS images it
 * allows.
 *
 * @param word `base` or `ethereum`; a development chain counts as Base
 * @throws ApiError 404
 */
export async function describeOnChainKms(
  platform: Platform,
  kmsRuntime: KmsRuntime,
  word: string,
): Promise<KmsOnChainDetail> {
  const chain = chains.get(word.toLowerCase());
  if (!chain) throw kmsNotFound(word);
  const here = listKmsContracts(platform).filter(({ nodes: [{ type }] }) => type === word.toLowerCase());
  const contracts = await Promise.all(
    here.map(async ({ nodes: [kms] }) => {
      const { chainId, contractAddress } = kms;
      if (chainId === null || contractAddress === null) throw new Error(`KMS ${kms.slug} is on no chain.`);
      const client = kmsRuntime.chain(kms.id);
      const [devices, osImages] = await Promise.all([
        Promise.all(
          platform.listNodes().map(async ({ deviceId, name }) => ({
            device_id: withoutPrefix(deviceId),
            node_name: name,
            on_chain_allowed: await readPolicy(client, contractAddress, "kmsAllowedDeviceIds", deviceId),
          })),
        ),
        Promise.all(
          platform.listOsImages().map(async ({ name, version, osImageHash }) => ({
            name,
            version,
            os_image_hash: withoutPrefix(osImageHash),
            on_chain_allowed: await readPolicy(client, contractAddress, "allowedOsImages", osImageHash),
          })),
        ),
      ]);
      return {
        contract_address: contractAddress,
        chain_id: chainId,
        chain_name: chain.name,
        devices,
        os_images: osImages,
      };
    }),
  );
  return { chain_name: chain.name, chain_id: contracts[0]?.chain_id ?? chain.id, contracts };
}

/** Null if the chain gave no answer. */
async function readPolicy(
  client: PublicClient | undefined,
  address: Hex,
  functionName: "kmsAllowedDeviceIds" | "allowedOsImages",
  value: Hex,
): Promise<boolean | null> {
  if (!client) return null;
  return client.readContract({ address, abi: dstackKmsAbi, functionName, args: [value] }).catch(() => null);
}

/** The KMS nodes that share a policy contract, and so a root key. An off-chain KMS forms a group of its own. */
export interface KmsContract {
  readonly id: string;
  /** Has at least one node. The first node gives the contract its slug. */
  readonly nodes: readonly [Kms, ...Kms[]];
}

export function listKmsContracts(platform: Platform): KmsContract[] {
  const groups = new Map<string, [Kms, ...Kms[]]>();
  for (const kms of platform.listKms()) {
    const key = kms.contractAddress === null ? kms.id : `${kms.chainId} ${kms.contractAddress}`;
    const group = groups.get(key);
    if (group) group.push(kms);
    else groups.set(key, [kms]);
  }
  return [...groups].map(([key, nodes]) => ({
    id: `kc_${createHash("sha256").update(key).digest("hex").slice(0, 12)}`,
    nodes,
  }));
}

/**
 * Finds the contract that a request names: by its id or address, by id or slug of one of its nodes, or by type.
 *
 * @throws ApiError 404
 */
export function findKmsContract(platform: Platform, reference: string): KmsContract {
  const wanted = reference.toLowerCase();
  const all = listKmsContracts(platform);
  const contract =
    all.find(({ id, nodes }) => id === wanted || nodes.some((kms) => namesOf(kms).includes(wanted))) ??
    all.find(({ nodes: [first] }) => first.type === wanted);
  if (!contract) throw kmsNotFound(reference);
  return contract;
}

function namesOf({ id, slug, contractAddress }: Kms): readonly (string | null)[] {
  return [id, slug, contractAddress];
}

export interface AppKey {
  /** x25519, 32 bytes. */
  readonly privateKey: Hex;
  readonly publicKey: Hex;
}

/** Root secret of a KMS whose seed has none. It is derived from the public slug, so these keys protect nothing. */
export function defaultRootSecret(slug: string): Hex {
  return keccak256(stringToBytes(`dstack-toolkit mock KMS ${slug}`));
}

/** @throws InvalidHexError */
export function parseRootSecret(raw: string): Hex {
  return parseFixedHex("A KMS root secret", raw, 32);
}

/** Derives the key that an app's environment is encrypted to. As in a real KMS, all versions of the app share it. */
export function deriveAppKey(rootSecret: Hex, appId: AppId): AppKey {
  const privateKey = derive(rootSecret, `app environment key ${appId}`);
  return { privateKey: bytesToHex(privateKey), publicKey: bytesToHex(x25519.getPublicKey(privateKey)) };
}

/** Compressed secp256k1 public key of the key that signs app keys. DstackKms publishes it as `k256Pubkey`. */
export function deriveSigningPublicKey(rootSecret: Hex): Hex {
  return bytesToHex(secp256k1.getPublicKey(signingKey(rootSecret), true));
}

/** Signs the app's public key: r ‖ s ‖ recovery id, 65 bytes, in the format without a timestamp. */
export function signAppKey(rootSecret: Hex, appId: AppId, publicKey: Hex): Hex {
  const digest = hexToBytes(hashEncryptionKeyStatement({ appId, publicKey }));
  const signature = secp256k1.sign(digest, signingKey(rootSecret));
  return bytesToHex(Uint8Array.of(...signature.toCompactRawBytes(), signature.recovery));
}

function signingKey(rootSecret: Hex): Uint8Array {
  return derive(rootSecret, "signing key");
}

function derive(rootSecret: Hex, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", hexToBytes(rootSecret), "dstack-toolkit", purpose, 32));
}
