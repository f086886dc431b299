import { expect } from "chai";
import { type Address, numberToHex, pad, parseEther } from "viem";
import { getTransaction, sendTransaction } from "viem/actions";
import { base } from "viem/chains";
import { createCloudClient } from "../../../../src/cloud/create-client.ts";
import { parseTransactionHash } from "../../../../src/core/ids.ts";
import {
  NonceTakenError,
  ReceiptMismatchError,
  RpcUnavailableError,
  TransactionNotVerifiedError,
  TransactionRevertedError,
} from "../../../../src/errors/index.ts";
import type { UpdateEvent } from "../../../../src/update/events.ts";
import { memoryJournal } from "../../../../src/update/journal.ts";
import { apiKey, type TestCvm } from "../../../support/mock-cloud/cloud-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { Crash, crashingJournal, hookedJournal } from "../../../support/update/crashing-journal.ts";
import type { RpcInterceptor } from "../../../support/update/rpc-server.ts";
import {
  chainOf,
  countTransactions,
  createCvm,
  disallowDevice,
  fast,
  interceptRpc,
  readAppHistory,
  startUpdateWorld,
  type UpdateChanges,
  type UpdateWorld,
  update,
} from "../../../support/update/update-world.ts";

const dockerCompose = "services:\n  app:\n    image: nginx:2\n";
/** Numbers of the writes of an update that allows only a hash. */
const writes = { patched: 0, prepared: 1, broadcast: 2, mined: 3, confirming: 4 };
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

  async function crashAt(cvm: TestCvm, journal: ReturnType<typeof memoryJournal>, write: number, changes: object = {}) {
    const crashing = crashingJournal(journal, { write, when: "after" });
    await catchError(update(world, cvm, { journal: crashing, dockerCompose, ...changes }), Crash);
  }

  it("sends the same bytes again when a reorg removes the transaction before its confirmation", async () => {
    const cvm = await createCvm(world);
    const journal = memoryJournal();
    let snapshot: unknown;
    const reorganised = hookedJournal(journal, {
      after: async ({ type }) => {
        if (type === "prepared") snapshot = await ask("evm_snapshot");
        if (type === "confirming") await ask("evm_revert", snapshot);
      },
    });
    const { outcome: result, paid } = await paying(() => update(world, cvm, { journal: reorganised, dockerCompose }));
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated" });
    expect(journal.entries().map(({ type }) => type)).to.deep.equal([
      "patched",
      "prepared",
      "broadcast",
      "mined",
      "confirming",
      "broadcast",
      "mined",
      "confirmed",
      "completed",
    ]);
    const hashes = journal.entries().flatMap((entry) => ("transactionHash" in entry ? [entry.transactionHash] : []));
    expect(new Set(hashes).size).to.equal(1);
    expect(updatesOf(cvm)).to.have.length(1);
  });

  it("sends a transaction again that the nodes have forgotten", async () => {
    const cvm = await createCvm(world);
    const journal = hookedJournal(memoryJournal(), {
      before: async ({ type }) => {
        if (type === "prepared") await ask("evm_setAutomine", false);
      },
      after: async (entry) => {
        if (entry.type !== "broadcast") return;
        await ask("hardhat_dropTransaction", entry.transactionHash);
        await ask("evm_setAutomine", true);
      },
    });
    const { outcome: result, paid } = await paying(() => update(world, cvm, { journal, dockerCompose }));
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
          { journal: memoryJournal() },
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
        { journal: memoryJournal() },
      ),
    );
    expect(faults).to.be.greaterThan(5);
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated" });
  });

  it("names an endpoint that stays unreachable, and continues from the record afterwards", async () => {
    const cvm = await createCvm(world);
    const journal = memoryJournal();
    let isDead = false;
    const dying: RpcInterceptor = async ({ method }, forward) => {
      if (isDead) throw new Error("connection refused");
      isDead = method === "eth_sendRawTransaction";
      return forward();
    };
    const { outcome: result, paid } = await paying(async () => {
      const timeouts = { ...fast.timeouts, receiptMs: 60 };
      await catchError(updateThrough(cvm, dying, { journal, timeouts }), RpcUnavailableError);
      return update(world, cvm, { journal, dockerCompose });
    });
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated", isResumed: true });
  });

  it("waits for the given number of confirmations", async () => {
    const cvm = await createCvm(world);
    const events: UpdateEvent[] = [];
    await updateThrough(
      cvm,
      async ({ method }, forward) => {
        // A block per question: time passes only while the update waits.
        if (method === "eth_getTransactionReceipt") await ask("evm_mine");
        return forward();
      },
      {
        journal: memoryJournal(),
        confirmations: 4,
        onStep: (event) => events.push(event),
      },
    );
    const head = BigInt(String(await ask("eth_blockNumber")));
    const finished = events.find((event) => event.kind === "finished" && event.step === "addComposeHash");
    if (finished?.kind !== "finished" || finished.step !== "addComposeHash") throw new Error("never finished");
    expect(head - finished.result.blockNumber >= 3n).to.equal(true);
  });

  it("uses the next nonce when the endpoint does not count the mined transaction yet", async () => {
    const cvm = await createCvm(world);
    await disallowDevice(world, cvm);
    const stale = numberToHex(await countTransactions(world));
    const journal = memoryJournal();
    const { paid } = await paying(() =>
      updateThrough(
        cvm,
        async ({ method, params }, forward) =>
          method === "eth_getTransactionCount" && params?.[1] === "pending" ? stale : forward(),
        { journal },
      ),
    );
    expect(paid).to.equal(2);
    expect(journal.entries().filter(({ type }) => type === "prepared")).to.have.length(2);
  });

  it("does not accept a receipt without the app's own event", async () => {
    const cvm = await createCvm(world);
    const forging: RpcInterceptor = async ({ method }, forward) => {
      const answer = await forward();
      if (method !== "eth_getTransactionReceipt" || answer === null) return answer;
      const receipt = answer as { logs: { address: string }[] }; // as nodes answer
      return { ...receipt, logs: receipt.logs.map((log) => ({ ...log, address: world.dstack.kms })) };
    };
    const error = await catchError(updateThrough(cvm, forging, { journal: memoryJournal() }), ReceiptMismatchError);
    expect(error.context).to.include({ eventName: "ComposeHashAdded", emitter: cvm.appId });
    expect(updatesOf(cvm)).to.deep.equal([]);
  });

  it("reports a reverted transaction, and sends another only in the next run", async () => {
    const cvm = await createCvm(world);
    const journal = memoryJournal();
    const setOwner = (owner: Address) => ask("hardhat_setStorageAt", cvm.appId, ownerSlot, pad(owner));
    const overtaken = hookedJournal(journal, {
      after: async ({ type }) => {
        if (type === "prepared") await setOwner(world.dstack.stranger.address);
      },
    });
    const { paid } = await paying(() =>
      catchError(update(world, cvm, { journal: overtaken, dockerCompose }), TransactionRevertedError),
    );
    expect(paid).to.equal(1);
    await setOwner(world.owner.address);
    const again = await paying(() => update(world, cvm, { journal, dockerCompose }));
    expect(again.paid).to.equal(1);
    expect(again.outcome).to.include({ outcome: "updated" });
    expect((await readAppHistory(world, cvm.appId)).hashesAdded).to.have.length(2);
  });

  describe("when another transaction has taken the nonce", () => {
    /** An update that ended before it sent its transaction, and a transfer that used its nonce. */
    async function useNonceFirst(): Promise<{ cvm: TestCvm; journal: ReturnType<typeof memoryJournal> }> {
      const cvm = await createCvm(world);
      const journal = memoryJournal();
      await crashAt(cvm, journal, writes.prepared);
      const { client } = world.dstack;
      await sendTransaction(client, { account: world.owner, chain: base, to: world.owner.address, value: 1n });
      for (let block = 0; block < 9; block++) await ask("evm_mine");
      return { cvm, journal };
    }

    it("signs again once the chain shows the other transaction, and records that", async () => {
      const { cvm, journal } = await useNonceFirst();
      const events: UpdateEvent[] = [];
      const { outcome: result, paid } = await paying(() =>
        update(world, cvm, { journal, dockerCompose, onStep: (event) => events.push(event) }),
      );
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated" });
      const discarded = events.find((event) => event.kind === "discarded");
      if (discarded?.kind !== "discarded" || discarded.replacedBy === undefined) throw new Error("nothing discarded");
      expect(discarded.reason).to.equal("replaced");
      const other = await getTransaction(world.dstack.client, { hash: discarded.replacedBy });
      expect(other.value).to.equal(1n);
      expect((await readAppHistory(world, cvm.appId)).hashesAdded).to.have.length(2);
    });

    it("signs again only when the other transaction has as many confirmations as required", async () => {
      const { cvm, journal } = await useNonceFirst();
      const depths: bigint[] = [];
      const rpc: RpcInterceptor = async ({ method }, forward) => {
        if (method === "eth_getTransactionReceipt") await ask("evm_mine");
        return forward();
      };
      const watched = hookedJournal(journal, {
        before: async (entry) => {
          if (entry.type !== "discarded" || entry.replacedBy === null) return;
          const other = await getTransaction(world.dstack.client, { hash: entry.replacedBy });
          depths.push(BigInt(String(await ask("eth_blockNumber"))) - (other.blockNumber ?? 0n) + 1n);
        },
      });
      await updateThrough(cvm, rpc, { journal: watched, confirmations: 15 });
      expect(depths).to.have.length(1);
      expect(Number(depths[0])).to.be.within(15, 20);
    });

    /** Full nodes keep no old state. */
    const withoutHistory: RpcInterceptor = async ({ method, params }, forward) => {
      if (method === "eth_getTransactionCount" && String(params?.[1]).startsWith("0x"))
        throw new Error("missing trie node");
      return forward();
    };
    const timeouts = { ...fast.timeouts, receiptMs: 60 };

    it("signs nothing while the other is unknown, except with consent to give up the transaction", async () => {
      const { cvm, journal } = await useNonceFirst();
      const { outcome: error, paid } = await paying(() =>
        catchError(updateThrough(cvm, withoutHistory, { journal, timeouts }), NonceTakenError),
      );
      expect(paid).to.equal(0);
      const recorded = parseTransactionHash(String(error.context.transactionHash));

      const wrong = parseTransactionHash("11".repeat(32));
      const consent = { journal, timeouts, abandonTransaction: wrong };
      await catchError(updateThrough(cvm, withoutHistory, consent), NonceTakenError);
      const again = await paying(() =>
        updateThrough(cvm, withoutHistory, { ...consent, abandonTransaction: recorded }),
      );
      expect(again.paid).to.equal(1);
      expect(again.outcome).to.include({ outcome: "updated" });
    });

    it("does not give up a pending transaction, even with consent", async () => {
      const cvm = await createCvm(world);
      const journal = memoryJournal();
      await ask("evm_setAutomine", false);
      await crashAt(cvm, journal, writes.broadcast);
      const recorded = [...journal.state.payments.values()][0]?.transactionHash;
      const { outcome: result, paid } = await paying(async () => {
        setTimeout(() => void ask("evm_setAutomine", true).then(() => ask("evm_mine")), 100);
        return update(world, cvm, { journal, dockerCompose, abandonTransaction: recorded });
      });
      expect(paid).to.equal(1);
      expect(result.transactions[0]?.transactionHash).to.equal(recorded);
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
        update(world, cvm, { journal: memoryJournal(), dockerCompose, ...remote() }),
      );
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated" });
    });

    it("recognises its transaction by nonce and call when it ended before it had the hash", async () => {
      const cvm = await createCvm(world);
      const journal = memoryJournal();
      const { outcome: result, paid } = await paying(async () => {
        const crashing = crashingJournal(journal, { write: writes.broadcast, when: "before" });
        await catchError(update(world, cvm, { journal: crashing, dockerCompose, ...remote() }), Crash);
        return update(world, cvm, { journal, dockerCompose, ...remote() });
      });
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated", isResumed: true });
    });

    it("asks again with the same nonce when it ended before its request to the node", async () => {
      const cvm = await createCvm(world);
      const journal = memoryJournal();
      const { outcome: result, paid } = await paying(async () => {
        await crashAt(cvm, journal, writes.prepared, remote());
        return update(world, cvm, { journal, dockerCompose, ...remote() });
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
        update(world, cvm, { journal: memoryJournal(), dockerCompose, onStep: (event) => events.push(event) }),
      );
      expect(count.hidden).to.equal(5);
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated" });
      const confirm = events.find((event) => event.kind === "finished" && event.step === "confirm");
      expect(confirm).to.have.nested.property("result.attempts", 3);
    });

    it("gives up after its attempts, and the next run confirms the same transaction", async () => {
      const cvm = await createCvm(world);
      const journal = memoryJournal();
      hideReceipts(Number.POSITIVE_INFINITY);
      const { outcome: result, paid } = await paying(async () => {
        const timeouts = { ...fast.timeouts, confirmMs: 60 };
        await catchError(update(world, cvm, { journal, dockerCompose, timeouts }), TransactionNotVerifiedError);
        hideReceipts(0);
        return update(world, cvm, { journal, dockerCompose });
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
          update(world, cvm, { journal: memoryJournal(), dockerCompose, cloud }),
        );
        expect(losses).to.equal(1);
        expect(paid).to.equal(1);
        expect(result).to.include({ outcome: "updated" });
        expect(updatesOf(cvm).map(({ state }) => state)).to.deep.equal(["done"]);
      });
    }
  });
});
