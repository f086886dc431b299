import type { ChainClient } from "../chain/client.ts";
import type { RetryOptions } from "../chain/retry.ts";
import type { AppId } from "../core/ids.ts";
import { isDstackError } from "../errors/index.ts";
import { RangeSize } from "./block-ranges.ts";
import { readTaggedBlock, type UnsettledBlocks } from "./blocks.ts";
import type { IncompletenessReason, IndexedEvents, PinnedBlock } from "./history.ts";
import { allowedAt, type InitialFlags, type PolicyChange } from "./policy.ts";
import type { ProvenPolicy } from "./proof.ts";
import type { AllowlistProof } from "./prove-allowlist.ts";
import type { CoveredRange } from "./store.ts";

/** An index is asked for any number of blocks at once: its answer ends after some logs, not after some blocks. */
export function indexRangeSize(): RangeSize {
  const any = BigInt(Number.MAX_SAFE_INTEGER);
  return new RangeSize(any, any);
}

export interface StableBlocks {
  /** The last block that an index is asked for. The chain keeps it, and an index that lags a little knows it. */
  readonly lastIndexed: bigint;
  /** The final and the safe block, as far as the endpoint tells them: those whose state is proven, if it serves them. */
  readonly tagged: readonly PinnedBlock[];
}

/** Asks the endpoint which blocks the chain keeps. @throws the signal's reason */
export async function readStableBlocks(
  client: ChainClient,
  pinned: PinnedBlock,
  { unsettled, signal }: Pick<RetryOptions, "signal"> & { readonly unsettled: UnsettledBlocks },
): Promise<StableBlocks> {
  const [finalized, safe] = await Promise.all(
    (["finalized", "safe"] as const).map((tag) => readTaggedBlock(client, tag, { signal })),
  );
  const tagged = [finalized, safe].filter((block) => block !== undefined && block.number <= pinned.number);
  // The history may end with an older block than the final one.
  const isOlder = finalized !== undefined && finalized.number > pinned.number;
  const byTime = unsettled.checkpoints.at(-1)?.number ?? 0n;
  return {
    lastIndexed: isOlder ? pinned.number : (finalized?.number ?? byTime),
    tagged: tagged.filter((block) => block !== undefined),
  };
}

export interface ProveIndexedParameters extends RetryOptions {
  readonly appId: AppId;
  readonly pinned: PinnedBlock;
  /** Other blocks whose state may be proven instead, the preferred one first. */
  readonly tagged: readonly PinnedBlock[];
  readonly covered: readonly CoveredRange[];
  readonly changes: readonly PolicyChange[];
  readonly initialFlags: InitialFlags;
}

export interface ProveIndexedReturnType {
  readonly indexed: IndexedEvents;
  /** Why the state is not proven. Empty if it is. */
  readonly reasons: readonly IncompletenessReason[];
  /** The proof and the events contradict each other, so the index may have left out or invented events. */
  readonly isContradicted: boolean;
}

/**
 * Proves the state that follows from events of an index. Undefined if the chain's endpoint delivered every event.
 *
 * The state of the final block is proven if the endpoint still serves it, otherwise that of a newer one. The chain's
 * endpoint delivered all events after it.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export async function proveIndexed(
  client: ChainClient,
  { appId, pinned, tagged, covered, changes, initialFlags, ...retry }: ProveIndexedParameters,
): Promise<ProveIndexedReturnType | undefined> {
  const ranges = covered.filter(({ index, fromBlock }) => index !== undefined && fromBlock <= pinned.number);
  if (ranges.length === 0) return undefined;
  const last = ranges.at(-1)?.toBlock ?? 0n;
  const candidates = [...tagged.filter(({ number }) => number >= last && number < pinned.number), pinned];
  const events = {
    indexes: [...new Set(ranges.map(({ index = "" }) => index))],
    ranges: ranges.map(({ fromBlock, toBlock }) => ({ fromBlock, toBlock })),
  };
  const { proveAllowlist } = await import("./prove-allowlist.ts"); // with a library for tries that few runs need
  let proof: AllowlistProof | undefined;
  for (const block of candidates) {
    try {
      proof = await proveAllowlist(client, { history: { appId, pinned: block, changes }, ...retry });
    } catch (error) {
      if (!isDstackError(error)) throw error;
      const reasons = [unproven(`The endpoint did not answer: ${error.message}`)];
      return { indexed: { ...events, provenAt: undefined }, reasons, isContradicted: false };
    }
    if (!isNotOffered(proof)) break;
  }
  const reasons: IncompletenessReason[] = [];
  const block = proof?.block ?? pinned;
  for (const claim of Object.values(proof?.claims ?? {}))
    if (!claim.isProven && !reasons.some(({ message }) => message.includes(claim.message)))
      reasons.push(unproven(claim.message));
  if (proof?.policy !== undefined) {
    const expected = allowedAt(changes, block.number, initialFlags);
    reasons.push(...differences(expected, proof.policy).map(unproven));
  }
  const provenAt = reasons.length === 0 ? block : undefined;
  const isContradicted = provenAt === undefined && proof !== undefined && proof.claims.account.isProven;
  return { indexed: { ...events, provenAt }, reasons, isContradicted };
}

function isNotOffered({ claims }: AllowlistProof): boolean {
  return !claims.account.isProven && claims.account.reason === "proofNotOffered";
}

/** Flags and addresses of the proven storage that the events do not give. */
function differences(expected: ReturnType<typeof allowedAt>, policy: ProvenPolicy): string[] {
  return (Object.keys(policy) as (keyof ProvenPolicy)[])
    .filter((name) => {
      const byEvents = expected[name];
      return !(byEvents === undefined && typeof policy[name] === "boolean") && !isSame(byEvents, policy[name]);
    })
    .map(
      (name) =>
        `${name} is ${expected[name] ?? "none"} according to the events, but ${policy[name] ?? "none"} in the contract's storage.`,
    );
}

function isSame(one: string | boolean | undefined, other: string | boolean | undefined): boolean {
  return `${one}`.toLowerCase() === `${other}`.toLowerCase();
}

function unproven(problem: string): IncompletenessReason {
  const message = `The state that follows from the events of the index is not proven. ${problem}`;
  return { kind: "stateUnproven", message };
}
