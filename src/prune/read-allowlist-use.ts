import { type Address, BlockNotFoundError } from "viem";
import { getBlock } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { findKmsGeneration, readAllowlist } from "../chain/read-app.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { safeGetKnownDevices } from "../cloud/get-known-devices.ts";
import { requireNoKeyEpochs } from "../core/generation.ts";
import type { AppId, ComposeHash, DeviceId } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import { HistoryContradictedError, type Objection } from "../errors/index.ts";
import { RangeSize } from "../history/block-ranges.ts";
import { readTimestamps } from "../history/blocks.ts";
import type { History } from "../history/history.ts";
import { type KnownLists, readKnownLists } from "../history/known-lists.ts";
import { allowedAt, decodePolicyChanges, type PolicyChange } from "../history/policy.ts";
import { scanLogs } from "../history/scan-logs.ts";
import {
  type Addition,
  type AllowedHash,
  type AllowlistUse,
  findMentions,
  type PinnedBlock,
  type QueuedDocument,
  type UnknownFact,
} from "./allowlist-use.ts";
import { type CloudUse, readCloudUse, unknownCloudUse } from "./read-cloud-use.ts";

export interface ReadAllowlistUseParameters {
  readonly chain: ChainClient;
  /** Undefined without an API key. Running hashes are then unknown. */
  readonly cloud: CloudClient | undefined;
  /** The KMS whose generation is checked together with the app's. */
  readonly kms?: Address | undefined;
  /**
   * Continues if the app or the KMS approves per key epoch. Only the list of app epoch 0 is then checked, and another
   * epoch may decide.
   */
  readonly acceptKeyEpochs?: boolean | undefined;
  /** The history, just read; its pinned block is the plan's. */
  readonly history: History;
  /** Hashes that the operator named, besides those of the history: they may be allowed without any known event. */
  readonly named?: readonly ComposeHash[] | undefined;
  /** Why a requested proof of the list's completeness failed, in one sentence; undefined if it succeeded. */
  readonly proofProblem?: string | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const retryOptions = { retryDelayMs: 250 };

/**
 * Collects what the chain and the cloud know of an app's hashes. What the cloud does not answer is an unknown fact.
 * What the chain does not answer is an error, because nothing could be removed then either.
 *
 * @throws KeyEpochsError, NoContractError, ContractRevertedError, RpcUnavailableError, WrongChainError
 *
 * @example
 * import { readAllowlistUse } from "dstack-toolkit/prune";
 * import { client, cloud, history } from "./app.js";
 * const use = await readAllowlistUse({ chain: client, cloud, history });
 */
export async function readAllowlistUse(parameters: ReadAllowlistUseParameters): Promise<AllowlistUse> {
  const { chain, cloud, kms, history, named = [], proofProblem, acceptKeyEpochs = false, ...rest } = parameters;
  const { appId, chainId, pinned, changes } = history;
  const blockNumber = pinned.number;
  const byEvents = allowedAt(changes, blockNumber, history.initialFlags);
  const additions = await dateAdditions(chain, changes);
  const knownHashes = [...new Set([...byEvents.composeHashes.keys(), ...named])];
  const uses = await (cloud === undefined
    ? unknownCloudUse("no API key was given.")
    : readCloudUse(cloud, { ...rest, appId, chainId, composeHashes: knownHashes }));
  const mentioned = [...uses.running, ...uses.movingTo].map(({ composeHash }) => composeHash);

  const [known, { owner, allowAnyDevice, generation }, ofKms] = await Promise.all([
    readKnownLists(chain, {
      history,
      inUse: { composeHashes: [...named, ...mentioned], devices: [] },
      ...retryOptions,
      signal: rest.signal,
    }),
    readAllowlist(chain, { appId, blockNumber }),
    kms === undefined ? undefined : findKmsGeneration(chain, { address: kms, blockNumber }),
  ]);
  requireNoKeyEpochs(
    [
      { role: "app", address: appId, generation },
      ...(kms === undefined || ofKms === undefined ? [] : [{ role: "KMS", address: kms, generation: ofKms } as const]),
    ],
    acceptKeyEpochs,
  );
  return {
    chainId,
    appId,
    pinned,
    owner,
    allowed: [...known.composeHashes.keys()].map((composeHash) => ({ composeHash, added: additions.get(composeHash) })),
    running: uses.running,
    movingTo: uses.movingTo,
    prepared: uses.prepared,
    queued: [],
    unknowns: [
      ...historyProblems(known),
      ...eventProblems(history),
      ...(proofProblem === undefined ? [] : [{ kind: "proof", problem: proofProblem } as const]),
      ...uses.unknowns,
      ...(await findOtherMachines(cloud, { appId, uses, allowAnyDevice, devices: [...known.devices.keys()] })),
    ],
  };
}

function historyProblems({ completeness }: KnownLists): UnknownFact[] {
  return completeness.isComplete
    ? []
    : completeness.reasons.map(({ message }) => ({ kind: "history", problem: message }));
}

/** A proof of the state shows which hashes are allowed, but not in which order they were added. */
function eventProblems({ indexed }: History): UnknownFact[] {
  if (indexed === undefined) return [];
  const state = indexed.provenAt === undefined ? "State not proven" : "State proven";
  const problem = `${state}, events not proven: the index ${indexed.indexes.join(", ")} says when the hashes were added. A hash may be newer than it says.`;
  return [{ kind: "events", problem }];
}

interface OtherMachines {
  readonly appId: AppId;
  readonly uses: CloudUse;
  readonly allowAnyDevice: boolean;
  readonly devices: readonly DeviceId[];
}

/** Machines outside this cloud that the app may run on. No list shows their CVMs. */
async function findOtherMachines(
  cloud: CloudClient | undefined,
  { appId, uses, allowAnyDevice, devices }: OtherMachines,
): Promise<UnknownFact[]> {
  // If the cloud's own machines are unknown, a remark about other machines adds nothing.
  if (cloud === undefined || !uses.isAnswered) return [];
  const known = await safeGetKnownDevices(cloud, { appId });
  if (!known.success) return [{ kind: "other-machines", problem: known.error.message }];
  if (allowAnyDevice) {
    return [{ kind: "other-machines", problem: "The app allows any device, so CVMs outside this cloud may run it." }];
  }
  return devices
    .filter((device) => !known.data.includes(device))
    .map((device) => ({
      kind: "other-machines",
      problem: `Device ${device} is allowed but belongs to no machine of this cloud, so a CVM outside this cloud may run on it.`,
    }));
}

/**
 * Tells whether the chain still has the block that a plan was made at. A restarted local chain has the same id, and a
 * reorganisation may have removed the block.
 *
 * @throws RpcUnavailableError
 */
export async function isBlockOfChain(client: ChainClient, { number, hash }: PinnedBlock): Promise<boolean> {
  return withRpcErrors(client, "reading the plan's block", () =>
    getBlock(client, { blockNumber: number }).then(
      (block) => block.hash === hash,
      (error: unknown) => {
        if (error instanceof BlockNotFoundError) return false;
        throw error;
      },
    ),
  );
}

/** Where the facts about one app come from. Read once for a plan and again for its execution. */
export interface PruneSource {
  readonly chain: ChainClient;
  /** Undefined without an API key. */
  readonly cloud: CloudClient | undefined;
  /** The KMS whose generation is checked together with the app's. */
  readonly kms?: Address | undefined;
  /**
   * Continues if the app or the KMS approves per key epoch. Only the list of app epoch 0 is then checked, and another
   * epoch may decide.
   */
  readonly acceptKeyEpochs?: boolean | undefined;
  /** Reads the app's history up to now: readHistory, with the caller's store. */
  readonly readHistory: () => Promise<History>;
  /**
   * Reads what is queued in the owner of the app. Undefined: only the queued calls count that the operator named.
   */
  readonly readQueue?: (() => Promise<ReadQueue>) | undefined;
  /** Proves that the history is complete; returns one sentence if it cannot. Undefined: no proof is requested. */
  readonly prove?: ((history: History) => Promise<string | undefined>) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What is queued in the owner of an app. */
export interface ReadQueue {
  readonly documents: readonly QueuedDocument[];
  /** Of kind `queue`: queues that could not be read. */
  readonly unknowns: readonly UnknownFact[];
}

/**
 * Reads all facts about an app again.
 *
 * @param named hashes to check even if no event names them
 * @throws what readHistory and readAllowlistUse throw
 *
 * @example
 * import { readHistory } from "dstack-toolkit/history";
 * import { readAllowlistUseFrom } from "dstack-toolkit/prune";
 * import { appId, client, cloud } from "./app.js";
 * const source = { chain: client, cloud, readHistory: () => readHistory(client, { appId }) };
 * const use = await readAllowlistUseFrom(source);
 */
export async function readAllowlistUseFrom(
  source: PruneSource,
  named: readonly ComposeHash[] = [],
): Promise<AllowlistUse> {
  const { readHistory, readQueue, prove, ...sources } = source;
  const [history, queue] = await Promise.all([readHistory(), readQueue?.()]);
  const use = await readAllowlistUse({ ...sources, history, named, proofProblem: await prove?.(history) });
  if (queue === undefined) return use;
  const allowed = use.allowed.map(({ composeHash }) => composeHash);
  const queued = queue.documents.map(({ source, text }) => ({ source, composeHashes: findMentions(text, allowed) }));
  return { ...use, queued, unknowns: [...use.unknowns, ...queue.unknowns] };
}

const requestsAtOnce = 8;

export interface RequireDatesParameters {
  readonly appId: AppId;
  /** What is removed, and what is kept as the newest in its place. */
  readonly hashes: readonly AllowedHash[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads each addition again from the chain, with the time of its block. The order of the hashes decides what is removed,
 * and it comes from a stored history whose older blocks are not read again: another program may have written that file.
 *
 * @throws HistoryContradictedError, LogsRefusedError, LogsUnavailableError, RpcUnavailableError
 */
export async function requireDates(
  client: ChainClient,
  { appId, hashes, signal }: RequireDatesParameters,
): Promise<void> {
  const dated = hashes.flatMap(({ composeHash, added }) => (added === undefined ? [] : [{ composeHash, ...added }]));
  const blocks = [...new Set(dated.map(({ blockNumber }) => blockNumber))];
  if (blocks.length === 0) return;
  const onChain = new Set<string>();
  const times = new Map<bigint, bigint>();
  const key = ({ composeHash, blockNumber, logIndex, transactionHash }: Omit<Addition, "by" | "timestamp"> & Hashed) =>
    `${composeHash} ${blockNumber} ${logIndex} ${transactionHash}`;
  await scanLogs(client, {
    ...{ ...retryOptions, signal, address: appId, concurrency: requestsAtOnce, size: new RangeSize() },
    ranges: blocks.map((block) => ({ fromBlock: block, toBlock: block })),
    onLogs: (_, logs) => {
      for (const change of decodePolicyChanges(logs).changes)
        if (change.kind === "composeHashAdded") onChain.add(key(change));
    },
  });
  await readTimestamps(client, {
    ...{ ...retryOptions, signal, blocks, concurrency: requestsAtOnce },
    onTimestamps: (read) => {
      for (const [block, timestamp] of read) times.set(block, timestamp);
    },
  });
  const wrong = dated.flatMap((addition): Objection[] => {
    const { composeHash, blockNumber, timestamp } = addition;
    if (!onChain.has(key(addition))) return [{ composeHash, problem: `was not added in block ${blockNumber}` }];
    const isDate = times.get(blockNumber) === timestamp;
    return isDate ? [] : [{ composeHash, problem: `was added at another time than ${timestamp}` }];
  });
  if (wrong.length > 0) throw new HistoryContradictedError(wrong);
}

type Hashed = Pick<AllowedHash, "composeHash">;

/**
 * When each hash was last added. Adding an allowed hash again counts, because the operator means to use it. A removed
 * hash has no date: if it is allowed all the same, an unread event added it. If the node sends no time with an event,
 * its block is read.
 *
 * @throws RpcUnavailableError
 */
export async function dateAdditions(
  client: ChainClient,
  changes: readonly PolicyChange[],
): Promise<ReadonlyMap<ComposeHash, Addition>> {
  const last = new Map<ComposeHash, PolicyChange>();
  for (const change of changes) {
    if (change.kind === "composeHashAdded") last.set(change.composeHash, change);
    if (change.kind === "composeHashRemoved") last.delete(change.composeHash);
  }
  const undated = [...last.values()].filter(({ timestamp }) => timestamp === undefined);
  const blockNumbers = [...new Set(undated.map(({ blockNumber }) => blockNumber))];
  const times = await mapLimited(
    blockNumbers,
    async (blockNumber) => {
      const block = await withRpcErrors(client, "reading when a hash was added", () =>
        getBlock(client, { blockNumber }),
      );
      return [blockNumber, block.timestamp] as const;
    },
    { limit: requestsAtOnce },
  );
  const timeOf = new Map(times);
  return new Map(
    [...last].map(([hash, { blockNumber, logIndex, transactionHash, actor, timestamp }]) => [
      hash,
      {
        blockNumber,
        logIndex,
        transactionHash,
        by: actor,
        timestamp: timestamp ?? timeOf.get(blockNumber) ?? 0n,
      },
    ]),
  );
}
