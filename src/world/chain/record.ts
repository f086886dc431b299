import { InvalidArgumentError } from "../../errors/index.ts";
import type { AnswerRpc } from "./rpc-server.ts";

/** A call that changed the chain, with the data to repeat it exactly. */
export interface RecordedRequest {
  readonly method: string;
  readonly params: readonly unknown[];
  /** Timestamp of the first block it mined, if it mined any. Unix seconds. */
  readonly minedAt?: number | undefined;
  /** Hash of the latest block after the call. */
  readonly head: string;
  /** Seconds by which the chain's clock was ahead of this machine's clock after the call. */
  readonly clockOffset: number;
}

/** The history of a simulated chain, which the caller stores. EDR can neither save nor load its state. */
export interface ChainRecord {
  readonly genesis: Date;
  /** The calls of earlier runs. */
  readonly requests: readonly RecordedRequest[];
  append(request: RecordedRequest): void;
}

interface Block {
  readonly number: string;
  readonly timestamp: string;
  readonly hash: string;
}

/**
 * Passes calls on. Records each call that changes the chain before answering it, one call at a time. So every answer
 * stays true after a restart, even if the process is killed.
 */
export function recordRequests(answer: AnswerRpc, record: ChainRecord): AnswerRpc {
  let turn: Promise<unknown> = Promise.resolve();
  let failure: unknown;
  /** What a full disk did not take. It must be recorded before anything else changes the chain. */
  let unrecorded: RecordedRequest | undefined;
  return (method, params) => {
    if (!changesChain(method)) return answer(method, params);
    const result = turn.then(() => run(method, params));
    turn = result.catch(() => {});
    return result;
  };

  async function run(method: string, params: readonly unknown[]): Promise<unknown> {
    if (failure !== undefined) throw failure;
    if (startsIntervalMining(method, params)) {
      throw new Error("A chain with a state file mines only on request, because other blocks could not be replayed.");
    }
    if (unrecorded !== undefined) record.append(unrecorded);
    unrecorded = undefined;
    const before = await readBlock(answer, "latest");
    const [outcome] = await Promise.allSettled([answer(method, params)]);
    try {
      const effect = await readEffect(answer, before);
      // A refused call changed nothing, unless it failed after it had mined a block.
      const isRefused = outcome.status === "rejected" && effect.head === before.hash;
      unrecorded = isRefused ? undefined : { method, params, ...effect };
    } catch (error) {
      // The record now lacks a change of the chain. So no later call may be recorded as if it followed the last record.
      failure = error;
      throw error;
    }
    if (unrecorded !== undefined) record.append(unrecorded);
    unrecorded = undefined;
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  }
}

/**
 * Repeats all calls, block by block with the same timestamps, so that all hashes are the same.
 *
 * @throws InvalidArgumentError if the last hash differs
 */
export async function replayRequests(answer: AnswerRpc, { requests }: ChainRecord): Promise<void> {
  const last = requests.at(-1);
  if (last === undefined) return;
  for (const { method, params, minedAt } of requests) {
    if (minedAt !== undefined) await answer("evm_setNextBlockTimestamp", [minedAt]);
    // A call that failed fails again.
    await answer(method, params).catch(() => {});
  }
  if ((await readBlock(answer, "latest")).hash !== last.head) {
    throw new InvalidArgumentError(
      "Replaying the recorded chain gave another result, so its state file cannot be used.",
      {
        nextStep: "Use the version of Hardhat that created it, or start with a new state file.",
        context: { requests: requests.length, expectedHead: last.head },
      },
    );
  }
  // The old timestamps set the chain's clock back by the time that this process was not running.
  const behind = last.clockOffset - (await readClockOffset(answer));
  if (behind > 0) await answer("evm_increaseTime", [behind]);
}

function changesChain(method: string): boolean {
  if (method === "eth_sendTransaction" || method === "eth_sendRawTransaction") return true;
  return /^(?:evm|hardhat)_(?!getAutomine$|metadata$)/.test(method);
}

function startsIntervalMining(method: string, [interval]: readonly unknown[]): boolean {
  return method === "evm_setIntervalMining" && Number(interval) !== 0;
}

async function readEffect(answer: AnswerRpc, before: Block) {
  const head = await readBlock(answer, "latest");
  const next = BigInt(before.number) + 1n;
  const first = next <= BigInt(head.number) ? await readBlock(answer, `0x${next.toString(16)}`) : undefined;
  return {
    ...(first && { minedAt: Number(first.timestamp) }),
    head: head.hash,
    clockOffset: await readClockOffset(answer),
  };
}

async function readBlock(answer: AnswerRpc, block: string): Promise<Block> {
  return (await answer("eth_getBlockByNumber", [block, false])) as Block; // a block of our own chain
}

async function readClockOffset(answer: AnswerRpc): Promise<number> {
  return Number(await answer("evm_increaseTime", [0]));
}
