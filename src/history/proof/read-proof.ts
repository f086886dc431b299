import { type Hex, isHex, numberToHex } from "viem";
import type { ChainClient } from "../../chain/client.ts";
import { withoutSecrets } from "../../chain/rpc-errors.ts";
import type { AppId } from "../../core/ids.ts";
import { RpcUnavailableError } from "../../errors/index.ts";
import { ask } from "../ask.ts";
import { classifyRefusal } from "../classify-refusal.ts";
import { type Patience, pause } from "../pause.ts";

const mostTries = 6;

export interface AccountProof {
  readonly accountProof: readonly Hex[];
  readonly storageHash: Hex;
  readonly codeHash: Hex;
  readonly storage: ReadonlyMap<Hex, { readonly value: Hex; readonly proof: readonly Hex[] }>;
}

export interface ReadProofParameters extends Patience {
  readonly appId: AppId;
  readonly slots: readonly Hex[];
  readonly blockNumber: bigint;
}

/**
 * One `eth_getProof`. Most public endpoints do not offer it, or only for the newest blocks, so a refusal is an answer:
 * the endpoint's words.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export async function readProof(
  client: ChainClient,
  { appId, slots, blockNumber, ...patience }: ReadProofParameters,
): Promise<AccountProof | { readonly refusal: string }> {
  const params = [appId, slots, numberToHex(blockNumber)];
  for (let tries = 1; ; tries += 1) {
    try {
      return parseProof(await ask(client, { method: "eth_getProof", params }, patience.signal), slots);
    } catch (error) {
      patience.signal?.throwIfAborted();
      const { kind, retryAfterMs, answer } = classifyRefusal(error, { fromBlock: blockNumber, toBlock: blockNumber });
      if (kind !== "busy" && kind !== "silent") return { refusal: answer };
      if (tries >= mostTries)
        throw new RpcUnavailableError("reading a proof of the app's storage", { cause: withoutSecrets(error) });
      await pause(patience, tries, retryAfterMs);
    }
  }
}

function parseProof(answer: unknown, slots: readonly Hex[]): AccountProof | { readonly refusal: string } {
  const { accountProof, storageHash, codeHash, storageProof } = Object(answer) as Record<string, unknown>;
  const malformed = { refusal: "The answer holds no proof." };
  if (!isHexList(accountProof) || !isHex(storageHash) || !isHex(codeHash) || !Array.isArray(storageProof))
    return malformed;
  const storage = new Map<Hex, { value: Hex; proof: readonly Hex[] }>();
  for (const [index, slot] of slots.entries()) {
    const { value, proof } = Object(storageProof[index]) as Record<string, unknown>; // in the order asked for
    if (!isHex(value) || !isHexList(proof)) return malformed;
    storage.set(slot, { value, proof });
  }
  return { accountProof, storageHash, codeHash, storage };
}

function isHexList(value: unknown): value is readonly Hex[] {
  return Array.isArray(value) && value.every((item) => isHex(item));
}
