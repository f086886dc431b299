import { keccak256, stringToHex } from "viem";
import { type AppCompose, buildAppCompose, changeAppCompose } from "../../../src/core/app-compose.ts";
import { computeComposeHash } from "../../../src/core/compose-hash.ts";
import {
  type ComposeHash,
  type DeviceId,
  type Hex,
  parseAppId,
  parseDeviceId,
  parseTransactionHash,
  type TransactionHash,
} from "../../../src/core/ids.ts";
import type { PriceEstimate } from "../../../src/core/price.ts";
import type { Clock } from "../../../src/core/retry.ts";
import {
  CloudUnreachableError,
  NonceTakenError,
  RpcUnavailableError,
  TransactionNotVerifiedError,
} from "../../../src/errors/index.ts";
import { createUpdateEmitter, type UpdateEvent } from "../../../src/update/events.ts";
import type { PaymentIntent } from "../../../src/update/journal-state.ts";
import type { ChainPort, CloudPort, JournalPort, SignedTransaction } from "../../../src/update/ports.ts";
import type { UpdateRequest, UpdateRun } from "../../../src/update/run.ts";
import { Crash } from "./crashing-journal.ts";

export const chainId = 8453;
export const appId = parseAppId("a1".repeat(20));
export const deviceId = parseDeviceId("d1".repeat(32));
/** The generator of the curve. */
const kmsPublicKey: Hex = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
export const signer: Hex = `0x${"0f".repeat(20)}`;
const firstDocument = buildAppCompose({ dockerCompose: "services:\n  app:\n    image: nginx:1\n" });

/** Allowed when the app was deployed. */
const firstHash = computeComposeHash(firstDocument);

/** Decides at each call of a port which fault it has. When the numbers are used up, there are no more faults. */
export class Dice {
  readonly #throws: number[];
  constructor(throws: readonly number[]) {
    this.#throws = [...throws];
  }

  get isUsedUp(): boolean {
    return this.#throws.length === 0;
  }

  /** True in about `percent` of a hundred cases. */
  hits(percent: number): boolean {
    return (this.#throws.pop() ?? 100) < percent;
  }
}

interface SimulatedTransaction {
  readonly hash: TransactionHash;
  readonly nonce: number;
  /** Undefined for one of another program that signs with the same key. */
  readonly intent: PaymentIntent | undefined;
}

function priceOf({ length: transactions }: readonly PaymentIntent[]): PriceEstimate {
  const cost = { gas: 50_000n, feePerGas: 1n, executionFee: 50_000n, l1Fee: 0n, operatorFee: 0n, total: 50_000n };
  return { transactions, expected: cost, most: cost };
}

/** An app's contract with a mempool, blocks that can be taken back, and endpoints that lag and fail. */
export class SimulatedChain {
  readonly #dice: Dice;
  #blocks: SimulatedTransaction[][] = [[]];
  #mempool = new Map<TransactionHash, SimulatedTransaction>();
  /** Every transaction of ours that was ever signed. */
  readonly signed = new Map<TransactionHash, SimulatedTransaction>();

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  get minedOurs(): readonly SimulatedTransaction[] {
    return this.#blocks.flat().filter(({ intent }) => intent !== undefined);
  }

  /** Time passes: pending transactions are mined by nonce, or dropped, or the last block is reverted. */
  mine(): void {
    if (this.#dice.hits(15)) return;
    if (this.#dice.hits(5)) this.#mempool.clear();
    if (this.#dice.hits(5)) this.#reorganise();
    const block: SimulatedTransaction[] = [];
    for (;;) {
      const nonce = this.#nonceAt(this.#blocks) + block.length;
      const next = [...this.#mempool.values()].find((transaction) => transaction.nonce === nonce);
      if (next === undefined) break;
      block.push(next);
    }
    this.#blocks.push(block);
    for (const [hash, { nonce }] of this.#mempool) if (nonce < this.#nonceAt(this.#blocks)) this.#mempool.delete(hash);
  }

  /** Another program signs with the same key. */
  interfere(): void {
    const nonce = this.#pendingNonce();
    this.#mempool.set(hashOf(`foreign ${nonce} ${this.#blocks.length}`), {
      hash: hashOf(`foreign ${nonce} ${this.#blocks.length}`),
      nonce,
      intent: undefined,
    });
    this.mineNow();
  }

  mineNow(): void {
    const waiting = [...this.#mempool.values()].sort((a, b) => a.nonce - b.nonce);
    const block: SimulatedTransaction[] = [];
    for (const transaction of waiting) {
      if (transaction.nonce === this.#nonceAt(this.#blocks) + block.length) block.push(transaction);
    }
    for (const { hash } of block) this.#mempool.delete(hash);
    this.#blocks.push(block);
  }

  /** The view of the cloud's own endpoint: the hash is allowed by exactly this transaction. */
  isProven(composeHash: ComposeHash, transactionHash: TransactionHash): boolean {
    return this.minedOurs.some(({ hash, intent }) => hash === transactionHash && intent?.value === composeHash);
  }

  port(): ChainPort {
    return {
      signer,
      readChainId: async () => this.#answer(chainId),
      judgeKms: async () => this.#answer([]),
      readKmsPublicKey: async () => this.#answer(kmsPublicKey),
      readAllowlist: async ({ composeHash, deviceId: device }) => {
        // An endpoint that is behind answers for a block of its own, and says which.
        const blocks = this.#dice.hits(10) ? this.#blocks.slice(0, -1) : this.#blocks;
        const isAllowed = (value: Hex | undefined) =>
          value === firstHash || blocks.flat().some(({ intent }) => intent?.value === value);
        return this.#answer({
          blockNumber: BigInt(blocks.length - 1),
          owner: signer,
          composeHashAllowed: isAllowed(composeHash),
          deviceAllowed: isAllowed(device),
          contracts: [],
        });
      },
      estimatePrice: async (intents) => this.#answer(priceOf(intents)),
      requireAffordable: async (intents) => this.#answer(priceOf(intents)),
      send: async (intent, { minimumNonce, beforeSend }) => {
        this.#answer(undefined);
        const nonce = Math.max(this.#pendingNonce(), minimumNonce);
        const transaction = { hash: hashOf(`ours ${this.signed.size}`), nonce, intent };
        const signed = this.#sign(transaction);
        if (this.#dice.hits(5)) this.interfere();
        await beforeSend(signed);
        if (this.#dice.hits(10)) this.interfere();
        this.signed.set(transaction.hash, transaction);
        return this.#broadcast(transaction);
      },
      sendAgain: async (_, { transactionHash }) => {
        const transaction = transactionHash && this.signed.get(transactionHash);
        // It was recorded and never sent: only the journal has its bytes.
        if (transaction === undefined) throw new Error("The journal holds a transaction that the key did not sign.");
        return this.#broadcast(transaction);
      },
      readReceipt: async (_, transactionHash) => {
        const height = this.#blocks.findIndex((block) => block.some(({ hash }) => hash === transactionHash));
        if (this.#answer(height) === -1 || this.#dice.hits(10)) return undefined;
        return {
          transactionHash,
          succeeded: true,
          blockNumber: BigInt(height),
          confirmations: BigInt(this.#blocks.length - height),
          gasUsed: 50_000n,
          costWei: 50_000n,
        };
      },
      readNonce: async () =>
        this.#answer(this.#nonceAt(this.#dice.hits(10) ? this.#blocks.slice(0, -1) : this.#blocks)),
      readPendingNonce: async () => this.#answer(this.#pendingNonce()),
      findTransaction: async ({ nonce }) => {
        this.#answer(undefined);
        if (this.#dice.hits(20)) return undefined;
        const height = this.#blocks.findIndex((block) => block.some((transaction) => transaction.nonce === nonce));
        const found = this.#blocks[height]?.find((transaction) => transaction.nonce === nonce);
        if (found === undefined) return undefined;
        const confirmations = BigInt(this.#blocks.length - height);
        return { transactionHash: found.hash, isProven: true, to: appId, data: "0x", confirmations };
      },
    };
  }

  #sign(transaction: SimulatedTransaction): SignedTransaction {
    this.signed.set(transaction.hash, transaction);
    return {
      chainId,
      from: signer,
      to: appId,
      data: "0x",
      nonce: transaction.nonce,
      gas: 60_000n,
      maxFeePerGas: 1n,
      maxPriorityFeePerGas: 1n,
      rawTransaction: transaction.hash,
      transactionHash: transaction.hash,
    };
  }

  /** The request may be lost, and so may the answer. */
  #broadcast(transaction: SimulatedTransaction): TransactionHash {
    if (this.#dice.hits(10)) throw new RpcUnavailableError("broadcasting");
    const isMined = this.#blocks.flat().some(({ hash }) => hash === transaction.hash);
    const rival = [...this.#mempool.values()].some(
      ({ nonce, hash }) => nonce === transaction.nonce && hash !== transaction.hash,
    );
    if (!isMined && (rival || transaction.nonce < this.#nonceAt(this.#blocks))) {
      throw new NonceTakenError(signer, transaction.nonce, transaction.hash);
    }
    if (!isMined) this.#mempool.set(transaction.hash, transaction);
    if (this.#dice.hits(10)) throw new RpcUnavailableError("broadcasting");
    return transaction.hash;
  }

  /** The newest block is replaced by an empty one; what was in it waits again, or is forgotten. Foreign ones stay. */
  #reorganise(): void {
    const last = this.#blocks.at(-1) ?? [];
    if (this.#blocks.length === 1 || last.some(({ intent }) => intent === undefined)) return;
    this.#blocks.pop();
    if (this.#dice.hits(50)) for (const transaction of last) this.#mempool.set(transaction.hash, transaction);
    this.#blocks.push([]);
  }

  #nonceAt(blocks: readonly (readonly SimulatedTransaction[])[]): number {
    return blocks.flat().length;
  }

  #pendingNonce(): number {
    let nonce = this.#nonceAt(this.#blocks);
    while ([...this.#mempool.values()].some((transaction) => transaction.nonce === nonce)) nonce++;
    return nonce;
  }

  #answer<Value>(value: Value): Value {
    if (this.#dice.hits(3)) throw new RpcUnavailableError("asking");
    if (this.#dice.hits(3)) throw new Crash();
    return value;
  }
}

/** One CVM on an on-chain KMS, and a backend that checks the chain itself. */
export class SimulatedCloud {
  readonly #dice: Dice;
  readonly #chain: SimulatedChain;
  #document: AppCompose = firstDocument;
  #pending: { readonly document: AppCompose; readonly environment: string | undefined } | undefined;
  #busyFor = 0;
  environment: string | undefined;
  /** Hashes whose confirmation was accepted, in order. */
  readonly confirmed: ComposeHash[] = [];

  constructor(dice: Dice, chain: SimulatedChain) {
    this.#dice = dice;
    this.#chain = chain;
  }

  get composeHash(): ComposeHash {
    return computeComposeHash(this.#document);
  }

  port(): CloudPort {
    return {
      readCvm: async () => {
        this.#answer();
        if (this.#busyFor > 0) this.#busyFor--;
        const busy = this.#busyFor > 0;
        return {
          id: "cvm_1",
          name: "my-app",
          status: busy ? "updating" : "running",
          busy,
          operationId: undefined,
          appId,
          vmUuid: undefined,
          composeHash: this.composeHash,
          chainId,
        };
      },
      readAppCompose: async () => this.#answer() ?? this.#document,
      readEncryptionKey: async () =>
        this.#answer() ?? `13be4feaeaf204c7fd3358fc9c00721881d174278128227ec674f37f7fe97b6d`,
      patch: async (_, { encryptedEnvironment, ...changes }) => {
        this.#answer();
        const document = changeAppCompose(this.#document, changes);
        const composeHash = computeComposeHash(document);
        if (composeHash === this.composeHash) {
          this.environment = encryptedEnvironment ?? this.environment;
          this.#busyFor = 3;
          return { kind: "accepted", correlationId: "environment" };
        }
        this.#pending = { document, environment: encryptedEnvironment };
        return { kind: "registrationRequired", composeHash, appId, deviceId, chainId, correlationId: undefined };
      },
      confirm: async (_, composeHash, transactionHash) => {
        this.#answer();
        const answer = { method: "PATCH", path: "/cvms/cvm_1" };
        const isPending = this.#pending !== undefined && computeComposeHash(this.#pending.document) === composeHash;
        if (!isPending || this.#pending === undefined)
          throw new Error("The cloud was asked to confirm what it does not keep.");
        if (this.#dice.hits(10) || !this.#chain.isProven(composeHash, transactionHash)) {
          throw new TransactionNotVerifiedError({ ...answer, status: 467 });
        }
        if (this.#dice.hits(10)) throw new CloudUnreachableError(answer.method, answer.path);
        this.#document = this.#pending.document;
        this.environment = this.#pending.environment ?? this.environment;
        this.#pending = undefined;
        this.#busyFor = 3;
        this.confirmed.push(composeHash);
        if (this.#dice.hits(10)) throw new CloudUnreachableError(answer.method, answer.path);
        return { kind: "accepted", correlationId: "update" };
      },
      watchStatus: () => this.#statuses(),
      readBootError: async () => this.#answer(),
      fingerprint: (text) => keccak256(stringToHex(text)).slice(2),
    };
  }

  /** A stream with random events, which may end at each of them. */
  async *#statuses(): AsyncGenerator<string> {
    while (!this.#dice.isUsedUp && !this.#dice.hits(40)) {
      if (this.#dice.hits(10)) throw new CloudUnreachableError("GET", "/cvms/cvm_1/state");
      yield this.#dice.hits(50) ? "updating" : "running";
    }
  }

  #answer(): undefined {
    if (this.#dice.hits(3)) throw new CloudUnreachableError("GET", "/cvms/cvm_1");
    if (this.#dice.hits(3)) throw new Crash();
    return undefined;
  }
}

export interface Simulation {
  readonly dice: Dice;
  readonly chain: SimulatedChain;
  readonly cloud: SimulatedCloud;
  /** One life of an updating process. */
  start(journal: JournalPort, request: Omit<UpdateRequest, "cvm">, onStep?: (event: UpdateEvent) => void): UpdateRun;
}

export function simulate(throws: readonly number[] = []): Simulation {
  const dice = new Dice(throws);
  const chain = new SimulatedChain(dice);
  const cloud = new SimulatedCloud(dice, chain);
  let now = 0;
  const clock: Clock = {
    now: () => now,
    async sleep(milliseconds, signal) {
      signal?.throwIfAborted();
      now += milliseconds;
      chain.mine();
    },
  };
  return {
    dice,
    chain,
    cloud,
    start: (journal, request, onStep) => ({
      cloud: cloud.port(),
      chain: chain.port(),
      journal,
      clock,
      isChainNamed: true,
      request: { cvm: "my-app", appId, expectedKmsPublicKey: kmsPublicKey, ...request },
      settings: {
        confirmations: 2,
        waitForRollover: true,
        pollCloudMs: 1_000,
        pollChainMs: 1_000,
        timeouts: { settleMs: 60_000, receiptMs: 60_000, confirmMs: 60_000, rolloverMs: 60_000 },
      },
      emitter: createUpdateEmitter(clock.now, onStep),
      signal: undefined,
    }),
  };
}

function hashOf(text: string): TransactionHash {
  return parseTransactionHash(keccak256(stringToHex(text)));
}

export type { DeviceId };
