import { createMerkleProof, createMPT } from "@ethereumjs/mpt";
import { bytesToHex, type Hex, hexToBytes, keccak256, numberToHex, toRlp, zeroHash } from "viem";
import { hashHeader } from "../../../src/history/proof.ts";

/** A block whose header has the root of a state with one contract, and the proofs of that contract's storage. */
export interface ProvableBlock {
  /** As `eth_getBlockByNumber` answers. */
  readonly block: Readonly<Record<string, unknown>> & { readonly hash: Hex };
  /** As `eth_getProof` answers. */
  prove(slots: readonly Hex[]): Promise<object>;
}

const codeHash = keccak256("0xfe");

/** Builds the tries of that state with a library, not with the code that reads them. */
export async function createProvableBlock(
  contract: Hex,
  words: ReadonlyMap<Hex, Hex>,
  { number, timestamp }: { readonly number: number; readonly timestamp: number },
): Promise<ProvableBlock> {
  const storage = await createMPT({ useKeyHashing: true });
  for (const [slot, word] of words) await storage.put(hexToBytes(slot), hexToBytes(toRlp(withoutZeros(word))));
  const storageHash = bytesToHex(storage.root());
  const state = await createMPT({ useKeyHashing: true });
  await state.put(hexToBytes(contract), hexToBytes(toRlp(["0x01", "0x", storageHash, codeHash])));
  const proofOf = async (trie: typeof state, key: Hex) =>
    (await createMerkleProof(trie, hexToBytes(key))).map((node) => bytesToHex(node));
  const header = {
    ...{ parentHash: zeroHash, sha3Uncles: zeroHash, miner: contract, stateRoot: bytesToHex(state.root()) },
    ...{ transactionsRoot: zeroHash, receiptsRoot: zeroHash, logsBloom: `0x${"00".repeat(256)}`, difficulty: "0x0" },
    ...{ number: numberToHex(number), gasLimit: "0x1c9c380", gasUsed: "0x0", timestamp: numberToHex(timestamp) },
    ...{ extraData: "0x", mixHash: zeroHash, nonce: "0x0000000000000000", baseFeePerGas: "0x1" },
  };
  return {
    block: { ...header, hash: hashHeader(header) ?? zeroHash },
    prove: async (slots) => ({
      ...{ address: contract, balance: "0x0", nonce: "0x1", codeHash, storageHash },
      accountProof: await proofOf(state, contract),
      storageProof: await Promise.all(
        slots.map(async (slot) => ({
          key: slot,
          value: words.get(slot) ?? "0x0",
          proof: await proofOf(storage, slot),
        })),
      ),
    }),
  };
}

function withoutZeros(word: Hex): Hex {
  const digits = word.slice(2).replace(/^(?:00)+/, "");
  return `0x${digits}`;
}
