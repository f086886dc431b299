import { expect } from "chai";
import { type Address, numberToHex, pad, parseEther, parseTransaction, type TransactionSerialized } from "viem";
import { getBlock, getTransaction, sendTransaction } from "viem/actions";
import { base } from "viem/chains";
import { type Ledger, memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { replaceTransaction } from "../../../../src/chain/transactions/replace.ts";
import { createCloudClient } from "../../../../src/cloud/create-client.ts";
import { parseTransactionHash, type TransactionHash } from "../../../../src/core/ids.ts";
import {
  FinalityTimeoutError,
  NonceTakenError,
  ReceiptMismatchError,
  RpcUnavailableError,
  TransactionNotVerifiedError,
  TransactionRevertedError,
  TransactionUnderpricedError,
} from "../../../../src/errors/index.ts";
import type { UpdateEvent } from "../../../../src/update/events.ts";
import { reorganisingBeforeSafe } from "../../../support/chain/reorganise.ts";
import { Crash } from "../../../support/ledger/crashing-ledger.ts";
import { apiKey, type TestCvm } from "../../../support/mock-cloud/cloud-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import type { RpcInterceptor } from "../../../support/update/rpc-server.ts";
import {
  beforeConfirming,
  chainOf,
  countTransactions,
  createCvm,
  disallowDevice,
  dyingAt,
  fast,
  interceptRpc,
  readAppHistory,
  startUpdateWorld,
  type UpdateChanges,
  type UpdateWorld,
  update,
} from "../../../support/update/update-world.ts";

const dockerCompose = "services:\n  app:\n    image: nginx:2\n";
// Where OpenZeppelin's upgradeable Ownable keeps the owner (ERC-7201).
const ownerSlot = "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300";

describe("updateCvm on a chain with faults", () => {
  let world: UpdateWorld;
  const backend: { rpc: RpcInterceptor } = { rpc: (_, forward) => forward() };
  before(async () => {
    world = await startUpdateWorld({ backendRpc: (request, forward) => backend.rpc(request, forward) });
  });
  afterEach(() => {
    backend.rpc = (_, forward) => forward();
  });
  after(() => world.close());

  const ask = (method: string, ...params: unknown[]) => world.connection.provider.request({ method, params });

  async function paying<Outcome>(work: () => Promise<Outcome>): Promise<{ outcome: Outcome; paid: number }> {
    const before = await countTransactions(world);
    const outcome = await work();
    return { outcome, paid: (await countTransactions(world)) - before };
  }

  function updatesOf({ id }: TestCvm) {
    return world.cloud.readHistory(id).filter(({ kind }) => kind === "update");
  }

  /** Updates through an endpoint with an interceptor. */
  async function updateThrough(cvm: TestCvm, intercept: RpcInterceptor, changes: UpdateChanges) {
    const rpc = await interceptRpc(world, intercept);
    try {
      return await update(world, cvm, { dockerCompose, chain: chainOf({ rpc }, world.owner), ...changes });
    } finally {
      await rpc.close();
    }
  }

  /** One process's life that ends once a method of the ledger has written. */
  async function crashAfter(cvm: TestCvm, ledger: Ledger, method: string, changes: object = {}) {
    const dying = dyingAt(ledger, method, "after");
    await catchError(update(world, cvm, { ledger: dying, dockerCompose, ...changes }), Crash);
  }

  const sentHashes = (ledger: Ledger) =>
    ledger.transactions().flatMap(({ attempts }) => attempts.map(({ transactionHash }) => transactionHash));

  it("sends the same bytes again when a reorganisation removes the transaction before its confirmation", async () => {
    const cvm = await createCvm(world);
    const ledger = memoryLedger();
    let snapshot: unknown;
    let isReorganised = false;
    const cloud = beforeConfirming(world, async () => {
      if (!isReorganised) await ask("evm_revert", snapshot);
      isReorganised = true;
    });
    const events: UpdateEvent[] = [];
    const { outcome: result, paid } = await paying(() =>
      updateThrough(
        cvm,
        async ({ method }, forward) => {
          if (method === "eth_sendRawTransaction") snapshot ??= await ask("evm_snapshot");
          return forward();
        },
        { ledger, cloud, onStep: (event) => events.push(event) },
      ),
    );
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated" });
    expect(kindsOf(events)).to.deep.equal(["sent", "mined", "dropped"]);
    expect(sentHashes(ledger)).to.deep.equal([result.transactions[0]?.transactionHash]);
    expect(updatesOf(cvm)).to.have.length(1);
  });

  it("survives a reorganisation before the stage, and reports it with the new block", async () => {
    const cvm = await createCvm(world);
    const ledger = memoryLedger();
    const events: UpdateEvent[] = [];
    const { outcome: result, paid } = await paying(() =>
      updateThrough(cvm, reorganisingBeforeSafe({ ask: ({ method, params = [] }) => ask(method, ...params) }), {
        ledger,
        until: "safe",
        onStep: (event) => events.push(event),
      }),
    );
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated" });
    expect(kindsOf(events)).to.include.members(["waitingForFinality", "dropped", "final"]);
    const [transaction] = ledger.transactions();
    expect(transaction).to.include({ state: "mined", finality: "safe" });
    expect(transaction?.proof?.blockNumber).to.equal(result.transactions[0]?.blockNumber);
    const finished = events.find((event) => event.kind === "finished" && event.step === "awaitFinality");
    expect(finished).to.have.nested.property("result.until", "safe");
  });

  it("does not report an update as done before its stage, and completes it in the next run", async () => {
    const cvm = await createCvm(world);
    const ledger = memoryLedger();
    const stuck: RpcInterceptor = async ({ method, params }, forward) => {
      if (method !== "eth_getBlockByNumber" || params?.[0] !== "safe") return forward();
      return world.connection.provider.request({ method, params: ["0x1", false] });
    };
    const timeouts = { ...fast.timeouts, finalityMs: 60 };
    const { outcome: result, paid } = await paying(async () => {
      await catchError(updateThrough(cvm, stuck, { ledger, until: "safe", timeouts }), FinalityTimeoutError);
      expect(ledger.batches({ isOpen: true })).to.have.length(1);
      return update(world, cvm, { ledger, dockerCompose, until: "safe" });
    });
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated", isResumed: true });
    expect(result.transactions.map(({ step }) => step)).to.deep.equal(["addComposeHash"]);
    expect(ledger.batches({ isOpen: true })).to.deep.equal([]);
  });

  it("sends a transaction again that the nodes have forgotten", async () => {
    const cvm = await createCvm(world);
    let isForgotten = false;
    await ask("evm_setAutomine", false);
    const { outcome: result, paid } = await paying(() =>
      updateThrough(
        cvm,
        async ({ method }, forward) => {
          const answer = await forward();
          if (method !== "eth_sendRawTransaction" || isForgotten) return answer;
          isForgotten = true;
          await ask("hardhat_dropTransaction", answer);
          await ask("evm_setAutomine", true);
          return answer;
        },
        { ledger: memoryLedger() },
      ),
    );
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated" });
  });

  for (const [name, isHeard] of [
    ["was heard", true],
    ["was not heard", false],
  ] as const) {
    it(`signs no other transaction after a lost answer for one that ${name}`, async () => {
      const cvm = await createCvm(world);
      let losses = 0;
      const { outcome: result, paid } = await paying(() =>
        updateThrough(
          cvm,
          async ({ method }, forward) => {
            if (method === "eth_sendRawTransaction" && losses++ === 0) {
              if (isHeard) await forward();
              throw new Error("gateway timeout");
            }
            return forward();
          },
          { ledger: memoryLedger() },
        ),
      );
      expect(losses).to.be.greaterThan(0);
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated" });
    });
  }

  it("waits while the endpoint fails to return the receipt", async () => {
    const cvm = await createCvm(world);
    let faults = 0;
    const { outcome: result, paid } = await paying(() =>
      updateThrough(
        cvm,
        async ({ method }, forward) => {
          if (method === "eth_getTransactionReceipt" && faults++ < 5) throw new Error("overloaded");
          return forward();
        },
        { ledger: memoryLedger() },
      ),
    );
    expect(faults).to.be.greaterThan(5);
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated" });
  });

  it("waits when the endpoint answers with empty receipts", async () => {
    const cvm = await createCvm(world);
    let empty = 0;
    const { outcome: result, paid } = await paying(() =>
      updateThrough(
        cvm,
        async ({ method }, forward) => (method === "eth_getTransactionReceipt" && empty++ < 3 ? {} : forward()),
        { ledger: memoryLedger() },
      ),
    );
    expect(empty).to.be.greaterThan(3);
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated" });
  });

  describe("when the base fee has risen above the price of its transaction", () => {
    /** An update that ended before it sent its transaction, and a base fee that has risen since. */
    async function leaveUnderpriced(): Promise<{ cvm: TestCvm; ledger: Ledger }> {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      await crashAfter(cvm, ledger, "record");
      await ask("hardhat_setNextBlockBaseFeePerGas", numberToHex(50n * 10n ** 9n));
      await ask("evm_mine");
      return { cvm, ledger };
    }
    afterEach(async () => {
      await ask("hardhat_setNextBlockBaseFeePerGas", numberToHex(10n ** 9n));
      await ask("evm_mine");
    });

    it("reports both prices, and pays nothing", async () => {
      const { cvm, ledger } = await leaveUnderpriced();
      const { outcome: error, paid } = await paying(() =>
        catchError(update(world, cvm, { ledger, dockerCompose }), TransactionUnderpricedError),
      );
      expect(paid).to.equal(0);
      expect(error.details.baseFeePerGas ?? 0n).to.satisfy((fee: bigint) => fee > error.details.maxFeePerGas);
    });

    it("is replaced by the caller's hook, and the cloud receives the hash of the mined transaction", async () => {
      const { cvm, ledger } = await leaveUnderpriced();
      const [first] = sentHashes(ledger);
      const chain = chainOf(world, world.owner);
      const { outcome: result, paid } = await paying(() =>
        update(world, cvm, {
          ...{ ledger, dockerCompose, chain },
          onUnderpriced: async ({ nonce, chainId }) => {
            await replaceTransaction(chain, { ledger, nonce, chainId });
            return true;
          },
        }),
      );
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated", isResumed: true });
      const [transaction] = result.transactions;
      expect(sentHashes(ledger)).to.deep.equal([first, transaction?.transactionHash]);
      expect(updatesOf(cvm)[0]).to.include({ transactionHash: transaction?.transactionHash });
    });
  });

  it("names an endpoint that stays unreachable, and continues from the record afterwards", async () => {
    const cvm = await createCvm(world);
    const ledger = memoryLedger();
    let isDead = false;
    const dying: RpcInterceptor = async ({ method }, forward) => {
      if (isDead) throw new Error("connection refused");
      isDead = method === "eth_sendRawTransaction";
      return forward();
    };
    const { outcome: result, paid } = await paying(async () => {
      // Long enough to ask several times who used the nonce.
      const timeouts = { ...fast.timeouts, receiptMs: 500 };
      await catchError(updateThrough(cvm, dying, { ledger, timeouts }), RpcUnavailableError);
      return update(world, cvm, { ledger, dockerCompose });
    });
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated", isResumed: true });
  });

  it("uses the next nonce when the endpoint does not count the mined transaction yet", async () => {
    const cvm = await createCvm(world);
    await disallowDevice(world, cvm);
    const stale = numberToHex(await countTransactions(world));
    const ledger = memoryLedger();
    const { paid } = await paying(() =>
      updateThrough(
        cvm,
        async ({ method, params }, forward) =>
          method === "eth_getTransactionCount" && params?.[1] === "pending" ? stale : forward(),
        { ledger },
      ),
    );
    expect(paid).to.equal(2);
    expect(sentHashes(ledger)).to.have.length(2);
  });

  it("does not accept a receipt without the app's own event", async () => {
    const cvm = await createCvm(world);
    const forging: RpcInterceptor = async ({ method }, forward) => {
      const answer = await forward();
      if (method !== "eth_getTransactionReceipt" || answer === null) return answer;
      const receipt = answer as { logs: { address: string }[] }; // as nodes answer
      return { ...receipt, logs: receipt.logs.map((log) => ({ ...log, address: world.dstack.kms })) };
    };
    const error = await catchError(updateThrough(cvm, forging, { ledger: memoryLedger() }), ReceiptMismatchError);
    expect(error.context).to.include({ eventName: "ComposeHashAdded", emitter: cvm.appId });
    expect(updatesOf(cvm)).to.deep.equal([]);
  });

  it("reports a reverted transaction, and sends another only in the next run", async () => {
    const cvm = await createCvm(world);
    const ledger = memoryLedger();
    const setOwner = (owner: Address) => ask("hardhat_setStorageAt", cvm.appId, ownerSlot, pad(owner));
    const overtaking: RpcInterceptor = async ({ method }, forward) => {
      if (method === "eth_sendRawTransaction") await setOwner(world.dstack.stranger.address);
      return forward();
    };
    const { paid } = await paying(() =>
      catchError(updateThrough(cvm, overtaking, { ledger }), TransactionRevertedError),
    );
    expect(paid).to.equal(1);
    await setOwner(world.owner.address);
    const again = await paying(() => update(world, cvm, { ledger, dockerCompose }));
    expect(again.paid).to.equal(1);
    expect(again.outcome).to.include({ outcome: "updated" });
    expect((await readAppHistory(world, cvm.appId)).hashesAdded).to.have.length(2);
  });

  describe("when another transaction has taken the nonce", () => {
    /** An update that ended before it sent its transaction, and a transfer that used its nonce. */
    async function overtake(): Promise<{ cvm: TestCvm; ledger: Ledger }> {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      await crashAfter(cvm, ledger, "record");
      const { client } = world.dstack;
      await sendTransaction(client, { account: world.owner, chain: base, to: world.owner.address, value: 1n });
      return { cvm, ledger };
    }

    it("signs again once the chain shows the other transaction, and records that", async () => {
      const { cvm, ledger } = await overtake();
      const events: UpdateEvent[] = [];
      const { outcome: result, paid } = await paying(() =>
        update(world, cvm, { ledger, dockerCompose, onStep: (event) => events.push(event) }),
      );
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated" });
      const [first, second] = ledger.transactions();
      expect([first?.state, second?.state]).to.deep.equal(["taken", "mined"]);
      expect(kindsOf(events)).to.include("taken");
      const other = await getTransaction(world.dstack.client, { hash: first?.proof?.transactionHash ?? "0x" });
      expect(other.value).to.equal(1n);
      expect((await readAppHistory(world, cvm.appId)).hashesAdded).to.have.length(2);
    });

    it("C5: names every nonce that another program took, and leaves no open record", async () => {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      const { client } = world.dstack;
      const taken: number[] = [];
      const racing: RpcInterceptor = async ({ method, params }, forward) => {
        if (method === "eth_sendRawTransaction") {
          const { nonce = 0 } = parseTransaction(params?.[0] as TransactionSerialized);
          taken.push(nonce);
          await sendTransaction(client, { account: world.owner, chain: base, nonce, to: world.owner.address });
        }
        return forward();
      };
      const error = await catchError(updateThrough(cvm, racing, { ledger }), NonceTakenError);
      expect(taken).to.have.length(3);
      expect(error.taker).to.deep.equal({ kind: "lost", nonces: taken });
      expect(error.message).to.include(`nonces ${taken.join(", ")}`);
      expect(error.nextStep).to.include("no record of it is left");
      expect(ledger.transactions().map(({ state }) => state)).to.deep.equal(["taken", "taken", "taken"]);
      const { outcome: result, paid } = await paying(() => update(world, cvm, { ledger, dockerCompose }));
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated" });
    });

    it("signs nothing while the other is unknown, except when the caller names it", async () => {
      const { cvm, ledger } = await overtake();
      const {
        transactions: [hash],
      } = await getBlock(world.dstack.client);
      // Full nodes keep no old states.
      const withoutHistory: RpcInterceptor = async ({ method, params }, forward) => {
        if (method === "eth_getTransactionCount" && String(params?.[1]).startsWith("0x"))
          throw new Error("missing trie node");
        return forward();
      };
      // Long enough to ask several times who used the nonce.
      const timeouts = { ...fast.timeouts, receiptMs: 500 };
      const { outcome: error, paid } = await paying(() =>
        catchError(updateThrough(cvm, withoutHistory, { ledger, timeouts }), NonceTakenError),
      );
      expect(paid).to.equal(0);
      expect(error.nextStep).to.include("`transactionHash`");

      const transactionHash = parseTransactionHash(String(hash));
      const again = await paying(() => updateThrough(cvm, withoutHistory, { ledger, timeouts, transactionHash }));
      expect(again.paid).to.equal(1);
      expect(again.outcome).to.include({ outcome: "updated" });
    });
  });

  describe("when the caller gives up a pending transaction", () => {
    /** An update that ended while its transaction waited. */
    async function leaveWaiting(): Promise<{ cvm: TestCvm; ledger: Ledger; abandonTransaction: TransactionHash }> {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      await ask("evm_setAutomine", false);
      await crashAfter(cvm, ledger, "markSent");
      return { cvm, ledger, abandonTransaction: parseTransactionHash(String(sentHashes(ledger)[0])) };
    }
    /** Mines a block after each sending, also of a transaction that the node knows. */
    const mining: RpcInterceptor = async ({ method }, forward) => {
      try {
        return await forward();
      } finally {
        if (method === "eth_sendRawTransaction") await ask("evm_mine");
      }
    };
    afterEach(() => ask("evm_setAutomine", true));

    it("uses its nonce for an empty call, and signs again without a long wait", async () => {
      const { cvm, ledger, abandonTransaction } = await leaveWaiting();
      const { outcome: result, paid } = await paying(() => updateThrough(cvm, mining, { ledger, abandonTransaction }));
      expect(paid).to.equal(2); // the empty call and the payment
      expect(result).to.include({ outcome: "updated" });
      expect(ledger.transactions().map(({ state }) => state)).to.deep.equal(["cancelled", "mined"]);
      expect((await readAppHistory(world, cvm.appId)).hashesAdded).to.have.length(2);
    });

    it("counts it when it was mined first", async () => {
      const { cvm, ledger, abandonTransaction } = await leaveWaiting();
      await ask("evm_mine");
      const { outcome: result, paid } = await paying(() => updateThrough(cvm, mining, { ledger, abandonTransaction }));
      expect(paid).to.equal(0);
      expect(result.transactions[0]?.transactionHash).to.equal(abandonTransaction);
    });

    it("gives up no other transaction", async () => {
      const { cvm, ledger, abandonTransaction } = await leaveWaiting();
      const other = parseTransactionHash("11".repeat(32));
      const { outcome: result } = await paying(() => updateThrough(cvm, mining, { ledger, abandonTransaction: other }));
      expect(result.transactions[0]?.transactionHash).to.equal(abandonTransaction);
    });
  });

  describe("with a key that only the node has", () => {
    before(async () => {
      const test = await world.connection.viem.getTestClient();
      await test.impersonateAccount({ address: world.owner.address });
      await test.setBalance({ address: world.owner.address, value: parseEther("10") });
    });
    const remote = () => ({ chain: chainOf(world), account: world.owner.address });

    it("updates", async () => {
      const cvm = await createCvm(world);
      const { outcome: result, paid } = await paying(() =>
        update(world, cvm, { ledger: memoryLedger(), dockerCompose, ...remote() }),
      );
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated" });
    });

    it("recognises its transaction by nonce and call when it ended before it had the hash", async () => {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      const { outcome: result, paid } = await paying(async () => {
        const dying = dyingAt(ledger, "markSent");
        await catchError(update(world, cvm, { ledger: dying, dockerCompose, ...remote() }), Crash);
        return update(world, cvm, { ledger, dockerCompose, ...remote() });
      });
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated", isResumed: true });
    });

    it("asks again with the same nonce when it ended before its request to the node", async () => {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      const { outcome: result, paid } = await paying(async () => {
        await crashAfter(cvm, ledger, "record", remote());
        return update(world, cvm, { ledger, dockerCompose, ...remote() });
      });
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated", isResumed: true });
    });
  });

  describe("when the cloud's endpoint is behind", () => {
    /** The backend asks twice for every confirmation. */
    function hideReceipts(times: number): { hidden: number } {
      const count = { hidden: 0 };
      backend.rpc = async ({ method }, forward) => {
        if (method !== "eth_getTransactionReceipt" || count.hidden >= times) return forward();
        count.hidden++;
        return null;
      };
      return count;
    }

    it("confirms again until the cloud accepts", async () => {
      const cvm = await createCvm(world);
      const count = hideReceipts(5);
      const events: UpdateEvent[] = [];
      const { outcome: result, paid } = await paying(() =>
        update(world, cvm, { ledger: memoryLedger(), dockerCompose, onStep: (event) => events.push(event) }),
      );
      expect(count.hidden).to.equal(5);
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated" });
      const confirm = events.find((event) => event.kind === "finished" && event.step === "confirm");
      expect(confirm).to.have.nested.property("result.attempts", 3);
    });

    it("gives up after its attempts, and the next run confirms the same transaction", async () => {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      hideReceipts(Number.POSITIVE_INFINITY);
      const { outcome: result, paid } = await paying(async () => {
        const timeouts = { ...fast.timeouts, confirmMs: 60 };
        await catchError(update(world, cvm, { ledger, dockerCompose, timeouts }), TransactionNotVerifiedError);
        hideReceipts(0);
        return update(world, cvm, { ledger, dockerCompose });
      });
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated", isResumed: true });
    });
  });

  describe("when the answer to the confirmation is lost", () => {
    for (const [name, isHeard] of [
      ["though the cloud heard it", true],
      ["and the cloud never heard it", false],
    ] as const) {
      it(`${name}, ends with one confirmed update`, async () => {
        const cvm = await createCvm(world);
        let losses = 0;
        const losing: typeof fetch = async (input, init) => {
          const isConfirmation = new Headers(init?.headers).has("x-transaction-hash");
          if (!isConfirmation || losses > 0) return fetch(input, init);
          losses++;
          if (isHeard) await fetch(input, init);
          throw new TypeError("socket hang up");
        };
        const cloud = createCloudClient({ apiKey, baseUrl: world.cloud.baseUrl, fetch: losing });
        const { outcome: result, paid } = await paying(() =>
          update(world, cvm, { ledger: memoryLedger(), dockerCompose, cloud }),
        );
        expect(losses).to.equal(1);
        expect(paid).to.equal(1);
        expect(result).to.include({ outcome: "updated" });
        expect(updatesOf(cvm).map(({ state }) => state)).to.deep.equal(["done"]);
      });
    }
  });
});

/** What happened to transactions. */
function kindsOf(events: readonly UpdateEvent[]): string[] {
  return events.flatMap((event) => (event.kind === "transaction" ? [event.event.kind] : []));
}
