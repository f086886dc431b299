import { fromRlp, type Hex, numberToHex } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type RetryOptions, requestOnce, withRpcRetry } from "../chain/retry.ts";
import type { AppId } from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import type { History, PinnedBlock } from "./history.ts";
import { allowedAt } from "./policy.ts";
import {
  type AccountProof,
  askedSlots,
  chooseSlots,
  emptyWord,
  hashHeader,
  type ProvenPolicy,
  policyIn,
  provenValue,
  readProof,
  storageRoot,
  storedValue,
  unknownFieldsOf,
} from "./proof.ts";

/** Slots per request when entries are proven one by one. */
const slotsPerRequest = 100;
const one = numberToHex(1, { size: 32 });

export interface ProveAllowlistParameters {
  /** The proof is about its last state. Gaps in the history do not matter if the proof succeeds. */
  readonly history: Pick<History, "appId" | "pinned" | "changes">;
  readonly signal?: AbortSignal | undefined;
  /** First pause after an error, doubled each time. @default 250 */
  readonly retryDelayMs?: number | undefined;
}

export type Claim =
  | { readonly isProven: true }
  | { readonly isProven: false; readonly reason: UnprovenReason; readonly message: string };

export type UnprovenReason =
  /** The hash of the known header fields differs from the block's hash. */
  | "headerDiffers"
  /** The hash differs, and the header has fields that this version does not know. */
  | "laterHardFork"
  /** The endpoint does not offer `eth_getProof`, or not for this block. */
  | "proofNotOffered"
  /** The endpoint's proof is wrong: it contradicts the header or itself. */
  | "proofInvalid"
  /** The contract's storage lacks entries that the events name. */
  | "entryMissing"
  /** The storage holds other words than the history gives. */
  | "storageDiffers"
  /** The storage matches only together with words that no DstackApp writes. */
  | "unknownSlots";

/** The result of proving an app's storage at one block. Each claim depends on the claims above it. */
export interface AllowlistProof {
  readonly appId: AppId;
  /** The only trusted input: that this hash belongs to the chain. Compare it with another source. */
  readonly block: PinnedBlock;
  /** Whether all claims are proven. */
  readonly isProven: boolean;
  readonly claims: {
    /** The state root belongs to the block's hash. */
    readonly header: Claim;
    /** The app's storage root and code belong to that state root. */
    readonly account: Claim;
    /** Every hash and device that the history allows is in that storage. */
    readonly entries: Claim;
    /** The storage holds nothing else: no hash or device that no event named. */
    readonly nothingElse: Claim;
  };
  /** Flags and addresses in that storage. Undefined unless all claims are proven. */
  readonly policy: ProvenPolicy | undefined;
  /** Number of storage words in the rebuilt trie. */
  readonly words: number;
  /** Number of zero words that the node keeps in its trie besides. anvil does; the nodes of live chains keep none. */
  readonly emptyWords: number;
}

/**
 * Rebuilds an app's storage from its history and compares the root with the one in the chain's state. If they are
 * equal, the allowlist has exactly the entries of the history, even if the node left out logs. The proof covers storage
 * only, not how the code behind the proxy uses it.
 *
 * @throws RpcUnavailableError, the signal's reason. If the endpoint offers no proof, that is a result, not an error.
 *
 * @example
 * import { proveAllowlist } from "dstack-toolkit/history";
 * import { client, history } from "./app.js";
 * const { isProven, claims } = await proveAllowlist(client, { history });
 */
export async function proveAllowlist(
  client: ChainClient,
  { history, signal, retryDelayMs = 250 }: ProveAllowlistParameters,
): Promise<AllowlistProof> {
  const { appId, pinned } = history;
  const retry = { retryDelayMs, signal };
  const allowed = allowedAt(history.changes, pinned.number);

  const { stateRoot, header } = await readStateRoot(client, pinned, retry);
  const proof = await readProof(client, {
    appId,
    slots: askedSlots,
    blockNumber: pinned.number,
    ...retry,
  });
  if ("refusal" in proof) {
    const refused = unproven(
      "proofNotOffered",
      `The endpoint returned no proof of block ${pinned.number}: ${proof.refusal}`,
    );
    return result({ header, account: refused, entries: refused, nothingElse: refused });
  }
  const account = await verifyAccount(stateRoot, appId, proof);
  const asked = new Map([...proof.storage].map(([slot, { value }]): [Hex, Hex] => [slot, value]));
  const layout = chooseSlots(asked);
  const entries = [...allowed.composeHashes.keys()].map(layout.composeHash);
  entries.push(...[...allowed.devices.keys()].map(layout.device));
  const words = new Map(layout.known.map((slot): [Hex, Hex] => [slot, asked.get(slot) ?? "0x"]));
  for (const slot of entries) words.set(slot, one);
  const filled = [...words.values()].filter((word) => storedValue(word) !== undefined).length;
  if (storageRoot(words) === proof.storageHash)
    return result({ header, account, entries: proven, nothingElse: proven }, { filled }, policyIn(asked, layout));

  const question = { appId, pinned, root: proof.storageHash, ...retry };
  const named = history.changes.flatMap((change) => {
    if ("composeHash" in change) return layout.composeHash(change.composeHash);
    return "deviceId" in change ? layout.device(change.deviceId) : [];
  });
  const slots = new Set([...layout.known, ...named, ...layout.unused]);
  const empty = await findEmptyWords(client, { ...question, slots: [...slots] });
  if (empty.length > 0 && storageRoot(words, empty) === proof.storageHash) {
    const sizes = { filled, empty: empty.length };
    return result({ header, account, entries: proven, nothingElse: proven }, sizes, policyIn(asked, layout));
  }

  const missing = await findMissingEntries(client, { ...question, entries });
  const nothingElse = await explainDifference(client, { ...question, words, empty, unused: layout.unused });
  return result({ header, account, entries: missing, nothingElse }, { filled, empty: empty.length });

  function result(
    claims: AllowlistProof["claims"],
    { filled = 0, empty = 0 }: { readonly filled?: number; readonly empty?: number } = {},
    found?: ProvenPolicy,
  ): AllowlistProof {
    const isProven = Object.values(claims).every((claim) => claim.isProven);
    const policy = isProven ? found : undefined;
    return { appId, block: pinned, isProven, claims, policy, words: filled, emptyWords: empty };
  }
}

const proven: Claim = { isProven: true };

function unproven(reason: UnprovenReason, message: string): Claim {
  return { isProven: false, reason, message };
}

async function readStateRoot(client: ChainClient, pinned: PinnedBlock, retry: RetryOptions) {
  const params = [numberToHex(pinned.number), false];
  const answer = await withRpcRetry(client, retry, "reading a block's header", () =>
    requestOnce(client, { method: "eth_getBlockByNumber", params }, retry.signal),
  );
  const block = Object(answer) as Record<string, unknown>;
  const stateRoot = typeof block.stateRoot === "string" ? (block.stateRoot as Hex) : "0x"; // hashHeader checks it
  return { stateRoot, header: hashHeader(block) === pinned.hash ? proven : explainHeader(block, pinned) };
}

/** A header of a later hard fork has fields that are hashed too. */
function explainHeader(block: Readonly<Record<string, unknown>>, { hash }: PinnedBlock): Claim {
  const fields = unknownFieldsOf(block).map((name) => cleanText(name, 40));
  if (fields.length === 0) return unproven("headerDiffers", `The endpoint's header does not have the hash ${hash}.`);
  const shown = fields.slice(0, 3).join(", ");
  return unproven(
    "laterHardFork",
    `The header of the block has fields that this version does not know (${shown}), so it belongs to a later hard fork. Update this package.`,
  );
}

async function verifyAccount(stateRoot: Hex, appId: AppId, proof: AccountProof): Promise<Claim> {
  const invalid = (what: string) => unproven("proofInvalid", `The proof of the app's account ${what}.`);
  try {
    const account = await provenValue(stateRoot, appId, proof.accountProof);
    if (account === undefined) return invalid("shows no account");
    const [, , storageHash, codeHash] = fromRlp(account, "hex");
    return storageHash === proof.storageHash && codeHash === proof.codeHash
      ? proven
      : invalid("shows another storage root than the endpoint's answer");
  } catch {
    return invalid("does not lead to the block's state root");
  }
}

interface StorageQuestion extends RetryOptions {
  readonly appId: AppId;
  readonly pinned: PinnedBlock;
  readonly root: Hex;
}

/** The slots of zero words that the node keeps in its trie. A word of zero allows nothing, kept or not. */
async function findEmptyWords(
  client: ChainClient,
  { appId, pinned, slots, root, ...retry }: StorageQuestion & { readonly slots: readonly Hex[] },
): Promise<Hex[]> {
  const empty: Hex[] = [];
  for (let start = 0; start < slots.length; start += slotsPerRequest) {
    const some = slots.slice(start, start + slotsPerRequest);
    const proof = await readProof(client, { appId, slots: some, blockNumber: pinned.number, ...retry });
    if ("refusal" in proof) return [];
    for (const [slot, { value, proof: nodes }] of proof.storage) {
      if (storedValue(value) !== undefined) continue;
      const kept = await provenValue(root, slot, nodes).catch(() => undefined); // an invalid proof shows no word
      if (kept === emptyWord) empty.push(slot);
    }
  }
  return empty;
}

async function findMissingEntries(
  client: ChainClient,
  { appId, pinned, entries, root, ...retry }: StorageQuestion & { readonly entries: readonly Hex[] },
): Promise<Claim> {
  let missing = 0;
  for (let start = 0; start < entries.length; start += slotsPerRequest) {
    const slots = entries.slice(start, start + slotsPerRequest);
    const proof = await readProof(client, { appId, slots, blockNumber: pinned.number, ...retry });
    if ("refusal" in proof)
      return unproven("proofNotOffered", `The endpoint returned no proof of the entries: ${proof.refusal}`);
    for (const [slot, { proof: nodes }] of proof.storage) {
      try {
        if ((await provenValue(root, slot, nodes)) !== storedValue(one)) missing += 1;
      } catch {
        return unproven("proofInvalid", "The proof of an entry does not lead to the app's storage root.");
      }
    }
  }
  if (missing === 0) return proven;
  return unproven("entryMissing", `${missing} of ${entries.length} entries are not in the contract's storage.`);
}

async function explainDifference(
  client: ChainClient,
  {
    appId,
    pinned,
    words,
    empty,
    unused,
    root,
    ...retry
  }: StorageQuestion & {
    readonly words: ReadonlyMap<Hex, Hex>;
    readonly empty: readonly Hex[];
    readonly unused: readonly Hex[];
  },
): Promise<Claim> {
  const proof = await readProof(client, { appId, slots: unused, blockNumber: pinned.number, ...retry });
  const strange =
    "refusal" in proof ? [] : [...proof.storage].filter(([, { value }]) => storedValue(value) !== undefined);
  const more = new Map([...words, ...strange.map(([slot, { value }]): [Hex, Hex] => [slot, value])]);
  if (strange.length > 0 && storageRoot(more, empty) === root) {
    const slots = strange.map(([slot]) => BigInt(slot)).join(", ");
    return unproven("unknownSlots", `The contract uses slots that no DstackApp uses: ${slots}.`);
  }
  return unproven(
    "storageDiffers",
    "The contract's storage differs from the history: it contains a hash, a device or another word that no event named.",
  );
}
