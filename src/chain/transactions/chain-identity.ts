import { isHex } from "viem";
import { RpcUnavailableError } from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { errorChain, withRpcErrors } from "../rpc-errors.ts";

/** The stages of a mined transaction, as block tags. */
export const finalityTags = ["latest", "safe", "finalized"] as const;
export type FinalityTag = (typeof finalityTags)[number];

export interface ChainIdentity {
  /**
   * Names the chain in a ledger: its id. For a development chain, also the hash of its first block, because such chains
   * share ids with each other and with the live chain that they imitate.
   */
  readonly chain: string;
  readonly chainId: number;
  /** A simulated network, or a node on this machine that says that it is one for development. */
  readonly isDevelopment: boolean;
}

const known = new WeakMap<ChainClient, ChainIdentity>();

/**
 * Identifies a chain for the ledger. Uses no answer of a remote endpoint, because the endpoint could then choose which
 * records apply.
 *
 * @throws RpcUnavailableError
 */
export async function readChainIdentity(client: ChainClient, chainId: number): Promise<ChainIdentity> {
  const earlier = known.get(client);
  if (earlier?.chainId === chainId) return earlier;
  const isDevelopment = await isDevelopmentChain(client);
  const chain = isDevelopment ? `${chainId} ${await readFirstBlock(client)}` : `${chainId}`;
  const identity = { chain, chainId, isDevelopment };
  known.set(client, identity);
  return identity;
}

/** The stage that counts as done if the caller names none. */
export function defaultFinality({ isDevelopment }: Pick<ChainIdentity, "isDevelopment">): FinalityTag {
  return isDevelopment ? "latest" : "safe";
}

async function readFirstBlock(client: ChainClient): Promise<string> {
  const doing = "reading the first block";
  const block = await withRpcErrors(client, doing, () =>
    client.request({ method: "eth_getBlockByNumber", params: ["0x0", false] }),
  );
  if (isHex(block?.hash)) return block.hash.toLowerCase();
  throw new RpcUnavailableError(doing, { said: "the answer holds no block" });
}

/**
 * Whether this is a simulated network or a development node on this machine. A transport without a URL is one that the
 * caller made, such as the provider of a simulated network.
 */
export async function isDevelopmentChain(client: ChainClient): Promise<boolean> {
  const { type, url } = client.transport as { readonly type: string; readonly url?: unknown };
  const isNear = typeof url === "string" ? isLoopback(url) : type === "custom";
  if (!isNear) return false;
  for (const [method, isProof] of proofs) {
    const answer = await ask(client, method);
    if (isProof(answer)) return true;
  }
  return false;
}

export function isLoopback(url: string): boolean {
  const hostname = URL.parse(url)?.hostname ?? "";
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

const proofs: readonly (readonly [method: string, isProof: (answer: unknown) => boolean])[] = [
  ["web3_clientVersion", (answer) => typeof answer === "string" && /^(?:hardhatnetwork|anvil)\b/i.test(answer)],
  ["hardhat_metadata", isObject],
  ["anvil_nodeInfo", isObject],
];

function isObject(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null;
}

/** Undefined if the node does not know the method. @throws RpcUnavailableError if it does not answer */
async function ask(client: ChainClient, method: string): Promise<unknown> {
  const request = client.request as (asked: { readonly method: string }) => Promise<unknown>; // viem types known methods
  try {
    return await request({ method });
  } catch (error) {
    if (errorChain(error).some(({ code }) => typeof code === "number")) return undefined;
    return withRpcErrors(client, "asking which node it is", () => Promise.reject(error));
  }
}
