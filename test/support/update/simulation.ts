import { keccak256, stringToHex } from "viem";
import type { Ledger } from "../../../src/chain/transactions/ledger.ts";
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
  HashExpiredError,
  RpcUnavailableError,
  TransactionNotVerifiedError,
} from "../../../src/errors/index.ts";
import { createUpdateEmitter, type UpdateEvent } from "../../../src/update/events.ts";
import type {
  ChainPort,
  CloudPort,
  PatchAccepted,
  Payment,
  PaymentIntent,
  PaymentPort,
  RegistrationProof,
  UpdateDraft,
} from "../../../src/update/ports.ts";
import { connectProgress } from "../../../src/update/progress.ts";
import type { UpdateRequest, UpdateRun } from "../../../src/update/run.ts";
import { Crash } from "../ledger/crashing-ledger.ts";

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
  readonly intent: PaymentIntent;
  readonly hash: TransactionHash;
  /** Undefined while it waits. */
  height: number | undefined;
  readonly isOfOwners?: boolean;
}

/**
 * An app's contract, and the ledger of who pays for it: a transaction that was recorded is mined, lost or taken back, and
 * never signed a second time. The ledger itself is tested on a real chain.
 */
export class SimulatedChain {
  readonly #dice: Dice;
  #height = 0;
  /** Every transaction that was ever signed: what the ledger holds. */
  readonly #recorded: SimulatedTransaction[] = [];

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  get mined(): readonly SimulatedTransaction[] {
    return this.#recorded.filter(({ height }) => height !== undefined);
  }

  /** Time passes. */
  mine(): void {
    this.#height++;
    if (this.#dice.hits(10)) this.#reorganise();
  }

  /** The owners' transactions. No ledger holds them: after a reorganisation the next block has them. */
  execute(intents: readonly PaymentIntent[]): void {
    for (const intent of intents) {
      const hash = hashOf(`owners ${this.#recorded.length}`);
      this.#recorded.push({ intent, hash, height: ++this.#height, isOfOwners: true });
    }
  }

  /** The transaction that allowed a value, if the endpoint shows it. */
  async find(value: Hex): Promise<TransactionHash | undefined> {
    return this.#answer(this.mined.find(({ intent }) => intent.value === value)?.hash);
  }

  /** The view of the cloud's own endpoint: the hash is allowed by exactly this transaction. */
  isProven(composeHash: ComposeHash, proof: RegistrationProof): boolean {
    const isMeant = (hash: TransactionHash) => proof === "already-registered" || hash === proof;
    return this.mined.some(({ hash, intent }) => isMeant(hash) && intent.value === composeHash);
  }

  port(): ChainPort {
    return {
      signer,
      readChainId: async () => this.#answer(chainId),
      judgeKms: async () => this.#answer([]),
      readKmsPublicKey: async () => this.#answer(kmsPublicKey),
      readAllowlist: async ({ composeHash, deviceId: device }) => {
        // An endpoint that is behind answers for a block of its own, and says which.
        const blockNumber = this.#dice.hits(10) ? this.#height - 1 : this.#height;
        const isAllowed = (value: Hex | undefined) =>
          value === firstHash ||
          this.mined.some(({ height = 0, intent }) => height <= blockNumber && intent.value === value);
        return this.#answer({
          blockNumber: BigInt(blockNumber),
          owner: signer,
          composeHashAllowed: isAllowed(composeHash),
          deviceAllowed: isAllowed(device),
          contracts: [],
        });
      },
      readStage: async () => {
        const height = BigInt(this.#height);
        return this.#answer({ latestBlock: height, taggedBlock: height, typicalMs: 1_000, longestMs: 4_000 });
      },
      estimatePrice: async ({ length }) => this.#answer(priceOf(length)),
      openPayments: () => this.#openPayments(),
    };
  }

  #openPayments(): PaymentPort {
    let paid: readonly PaymentIntent[] = [];
    const take = (isFromRecord: (intent: PaymentIntent) => boolean) =>
      this.#answer(
        this.#recorded
          .filter(({ intent }) => intent.step === "addDevice" || paid.some(({ value }) => value === intent.value))
          .map((transaction) => this.#toPayment(transaction, isFromRecord(transaction.intent))),
      );
    const send = () => {
      for (const transaction of this.#recorded) {
        if (transaction.height !== undefined) continue;
        this.#answer(undefined);
        transaction.height = ++this.#height;
      }
    };
    return {
      isRecorded: async (payment) => this.#answer(this.#find(payment) !== undefined),
      requireAffordable: async ({ length }) => this.#answer(priceOf(length)),
      pay: async (payments) => {
        const lacking = payments.filter((payment) => this.#find(payment) === undefined);
        for (const intent of lacking) {
          this.#answer(undefined);
          this.#recorded.push({ intent, hash: hashOf(`${this.#recorded.length}`), height: undefined });
        }
        send();
        paid = payments;
        return take(({ value }) => !lacking.some((intent) => intent.value === value));
      },
      lookAgain: async () => {
        send();
        return take(() => true);
      },
      finish: async (recorded = paid) => {
        paid = recorded;
        send();
        return { until: "latest", payments: take(() => true) };
      },
      [Symbol.dispose]: () => {},
    };
  }

  #find({ value }: PaymentIntent): SimulatedTransaction | undefined {
    return this.#recorded.find(({ intent }) => intent.value === value);
  }

  #toPayment({ intent, hash, height = 0 }: SimulatedTransaction, isFromRecord: boolean): Payment {
    const { step, value } = intent;
    const costs = { gasUsed: 50_000n, costWei: 50_000n };
    return { step, value, transactionHash: hash, blockNumber: BigInt(height), ...costs, isFromRecord };
  }

  /** What was in the newest blocks waits again. */
  #reorganise(): void {
    for (const transaction of this.mined) {
      if (transaction.height !== undefined && transaction.height >= this.#height - 1)
        transaction.height = transaction.isOfOwners ? this.#height + 1 : undefined;
    }
  }

  #answer<Value>(value: Value): Value {
    if (this.#dice.hits(3)) throw new RpcUnavailableError("asking");
    if (this.#dice.hits(3)) throw new Crash();
    return value;
  }
}

function priceOf(transactions: number): PriceEstimate {
  const cost = { gas: 50_000n, feePerGas: 1n, executionFee: 50_000n, l1Fee: 0n, operatorFee: 0n, total: 50_000n };
  return { transactions, baseFeePerGas: cost.feePerGas, expected: cost, most: cost };
}

/** One CVM on an on-chain KMS, and a backend that checks the chain itself. */
export class SimulatedCloud {
  readonly #dice: Dice;
  readonly #chain: SimulatedChain;
  #document: AppCompose = firstDocument;
  #pending:
    | { readonly document: AppCompose; readonly environment: string | undefined; readonly token?: string }
    | undefined;
  #tokens = 0;
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
      patch: async (_, draft) => this.#request(draft, undefined),
      prepare: async (_, draft) => this.#request(draft, `token-${++this.#tokens}`),
      commit: async (_, { token, composeHash, transactionHash }) => {
        this.#answer();
        if (token !== this.#pending?.token)
          throw new HashExpiredError({ method: "POST", path: "/cvms/cvm_1/commit-update", status: 466 });
        return this.#apply(composeHash, transactionHash);
      },
      readExpiry: async () => this.#answer(),
      confirm: async (_, composeHash, transactionHash) => {
        this.#answer();
        return this.#apply(composeHash, transactionHash);
      },
      watchStatus: () => this.#statuses(),
      readBootError: async () => this.#answer(),
      fingerprint: (text) => keccak256(stringToHex(text)).slice(2),
    };
  }

  #request(draft: UpdateDraft, token: string | undefined) {
    this.#answer();
    const { encryptedEnvironment, ...changes } = draft;
    const document = changeAppCompose(this.#document, changes);
    const composeHash = computeComposeHash(document);
    if (composeHash === this.composeHash) {
      this.environment = encryptedEnvironment ?? this.environment;
      this.#busyFor = 3;
      return { kind: "accepted", correlationId: "environment" } as const;
    }
    this.#pending = { document, environment: encryptedEnvironment, token };
    const registration = { composeHash, appId, deviceId, chainId, correlationId: undefined };
    return { kind: "registrationRequired", ...registration, token: token ?? "" } as const;
  }

  #apply(composeHash: ComposeHash, proof: RegistrationProof): PatchAccepted {
    const answer = { method: "PATCH", path: "/cvms/cvm_1" };
    const isPending = this.#pending !== undefined && computeComposeHash(this.#pending.document) === composeHash;
    if (!isPending || this.#pending === undefined)
      throw new Error("The cloud was asked to confirm what it does not keep.");
    if (this.#dice.hits(10) || !this.#chain.isProven(composeHash, proof)) {
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
  start(ledger: Ledger, request: Omit<UpdateRequest, "cvm">, onStep?: (event: UpdateEvent) => void): UpdateRun;
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
    start: (ledger, request, onStep) => ({
      cloud: cloud.port(),
      chain: chain.port(),
      progress: connectProgress(ledger),
      clock,
      isChainNamed: true,
      request: { cvm: "my-app", appId, expectedKmsPublicKey: kmsPublicKey, ...request },
      settings: {
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
