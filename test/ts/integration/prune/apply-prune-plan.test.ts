import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect } from "chai";
import { createClient, custom, numberToHex } from "viem";
import { parseAccount } from "viem/accounts";
import { base } from "viem/chains";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { readChainIdentity } from "../../../../src/chain/transactions/chain-identity.ts";
import { type Ledger, memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { preparedOf } from "../../../../src/chain/transactions/ledger-records.ts";
import { encodeExecute } from "../../../../src/core/batch-executor.ts";
import { type ComposeHash, parseAppId } from "../../../../src/core/ids.ts";
import { removeComposeHashCall, transferOwnershipCall } from "../../../../src/core/owner-calls.ts";
import {
  BatchStoppedError,
  HistoryContradictedError,
  InvalidArgumentError,
  PruneBlockedError,
  PrunedHashInUseError,
  PruneOvertakenError,
} from "../../../../src/errors/index.ts";
import { readHistory } from "../../../../src/history/read-history.ts";
import { openHistoryStore } from "../../../../src/history/store.ts";
import type { KeepRules } from "../../../../src/prune/allowlist-use.ts";
import { type ApplyPrunePlanParameters, applyPrunePlan } from "../../../../src/prune/apply-prune-plan.ts";
import { type PrunePlan, planPrune, removalsOf } from "../../../../src/prune/plan-prune.ts";
import { type PruneSource, readAllowlistUseFrom } from "../../../../src/prune/read-allowlist-use.ts";
import type { RpcRequest } from "../../../support/chain/intercepted-client.ts";
import { reorganisingBeforeSafe } from "../../../support/chain/reorganise.ts";
import { crashingLedger } from "../../../support/ledger/crashing-ledger.ts";
import { putRecord } from "../../../support/ledger/signed-record.ts";
import { keepRulesWith } from "../../../support/prune/allowlist-use.ts";
import {
  allow,
  allowedNow,
  allowFillers,
  commitUpdate,
  type PruneWorld,
  prepareUpdate,
  sourceOf,
  startPruneWorld,
} from "../../../support/prune/prune-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("applyPrunePlan", () => {
  let world: PruneWorld;
  let start: string;
  let old: ComposeHash[];
  before(async () => {
    world = await startPruneWorld({ cloud: { rolloverMs: 50 } });
    old = await allowFillers(world, 5);
    start = await world.snapshot();
  });
  beforeEach(async () => {
    await world.restore(start);
    start = await world.snapshot();
  });
  after(() => world.close());

  const countTransactions = () => world.chain.client.getTransactionCount({ address: world.owner.address });

  async function plan(policy: Partial<KeepRules> = {}, source: PruneSource = sourceOf(world)): Promise<PrunePlan> {
    return planPrune(await readAllowlistUseFrom(source), keepRulesWith({ keep: 1, ...policy }));
  }

  const apply = (plan: PrunePlan, changes: Partial<ApplyPrunePlanParameters> = {}) =>
    applyPrunePlan({
      plan,
      source: sourceOf(world),
      account: world.owner,
      mode: "none",
      ledger: memoryLedger(),
      pollIntervalMs: 5,
      ...changes,
    });

  /** Runs a plan that must be refused, and shows that nothing was sent. */
  async function refuse<Thrown extends Error>(
    plan: PrunePlan,
    type: abstract new (...args: never[]) => Thrown,
    changes: Partial<ApplyPrunePlanParameters> = {},
  ): Promise<Thrown> {
    const before = await countTransactions();
    const error = await catchError(apply(plan, changes), type);
    expect(await countTransactions(), "transactions sent").to.equal(before);
    return error;
  }

  /** A cloud that keeps what is prepared to itself until it is to reveal it. */
  function forgetful(): { source: PruneSource; reveal(): void } {
    const { cloudClient } = world;
    let isRevealed = false;
    const cloud: typeof cloudClient = {
      ...cloudClient,
      request: (request) =>
        isRevealed || !request.path.includes("pending-updates")
          ? cloudClient.request(request)
          : cloudClient.request({ ...request, path: request.path.replace(/[0-9a-f]{64}/, "00".repeat(32)) }),
    };
    const reveal = () => {
      isRevealed = true;
    };
    return { source: sourceOf(world, { cloud }), reveal };
  }

  describe("with a stored history of another program", () => {
    const directory = useTemporaryDirectory();

    /** A store as the chain fills it, long ago, and then with one statement run on it. */
    async function forge(statement: (database: DatabaseSync) => void): Promise<PruneSource> {
      const path = join(directory.path, "history.sqlite");
      await world.chain.client.request({ method: "hardhat_mine" as never, params: ["0x100"] as never });
      const read = async () => {
        const store = openHistoryStore(path);
        try {
          return await readHistory(world.ownerClient, { appId: world.appId, store, timestamps: true });
        } finally {
          store.close();
        }
      };
      await read();
      const database = new DatabaseSync(path);
      statement(database);
      database.close();
      return sourceOf(world, { readHistory: read });
    }

    /** As if the oldest of the added hashes were the newest, and the other way round. */
    const shuffle = (database: DatabaseSync) => {
      const rows = database.prepare("SELECT block_number, topics, data FROM log ORDER BY block_number").all();
      const added = rows.filter(({ topics, data }) =>
        old.some((hash) =>
          Buffer.concat([topics as Uint8Array, data as Uint8Array]).includes(Buffer.from(hash.slice(2), "hex")),
        ),
      );
      const update = database.prepare("UPDATE log SET topics = ?, data = ? WHERE block_number = ?");
      for (const [index, { block_number }] of added.entries()) {
        const other = added.at(-1 - index);
        update.run(other?.topics as Uint8Array, other?.data as Uint8Array, block_number as number);
      }
    };

    it("removes nothing by an order that is not the chain's", async () => {
      const source = await forge(shuffle);
      const planned = await plan({ keep: 2 }, source);
      expect(removalsOf(planned)).to.include(old.at(-1));
      const error = await refuse(planned, HistoryContradictedError, { source });
      expect(error.message).to.match(/was not added in block/);
    });

    it("removes nothing by an age that is not the chain's", async () => {
      const source = await forge((database) => database.exec("UPDATE log SET timestamp = 1"));
      const planned = await plan({ keep: 0, olderThanSeconds: 86_400, mayEmptyList: true }, source);
      await refuse(planned, HistoryContradictedError, { source });
    });

    it("removes the planned hashes with the chain's own history", async () => {
      const source = await forge(() => {});
      const planned = await plan({ keep: 2 }, source);
      const { removed } = await apply(planned, { source });
      expect(removed).to.have.members(old.slice(0, -2));
    });
  });

  it("removes exactly the planned hashes", async () => {
    const planned = await plan();
    const removals = removalsOf(planned);
    expect(removals).to.have.members(old.slice(0, 4));
    const result = await apply(planned);
    expect(result).to.deep.include({ removed: removals, finished: [], mode: "none" });
    expect(result.transactions).to.have.lengthOf(4);
    expect(await allowedNow(world, [world.firstHash, ...old])).to.have.members([world.firstHash, old[4]]);
  });

  it("sends the removals again that a reorganisation took back between inclusion and safe", async () => {
    const { ownerClient } = world;
    const request = (call: RpcRequest) => ownerClient.request(call as Parameters<typeof ownerClient.request>[0]); // any method of the client's
    const reorganising = reorganisingBeforeSafe({ ask: request });
    const chain = createClient({
      chain: base,
      transport: custom({ request: (call) => reorganising(call, () => request(call)) }, { retryCount: 0 }),
    });
    const agreed = await plan();
    const removals = removalsOf(agreed);
    const before = await countTransactions();
    const ledger = memoryLedger();
    const kinds: string[] = [];
    const { removed, transactions } = await apply(agreed, {
      ...{ ledger, until: "safe", source: sourceOf(world, { chain }) },
      onEvent: ({ kind }) => void kinds.push(kind),
    });
    expect(kinds.filter((kind) => kind === "dropped")).to.have.length(removals.length);
    expect(removed).to.deep.equal(removals);
    expect(transactions).to.have.length(removals.length);
    expect(await countTransactions()).to.equal(before + removals.length);
    expect(await allowedNow(world, removals)).to.deep.equal([]);
    expect(ledger.transactions().map(({ finality }) => finality)).to.deep.equal(removals.map(() => "safe"));
  });

  it("sends nothing when there is nothing to remove", async () => {
    const before = await countTransactions();
    const result = await apply(await plan({ keep: 9 }));
    expect(result).to.deep.equal({ removed: [], finished: [], transactions: [], mode: undefined });
    expect(await countTransactions()).to.equal(before);
  });

  it("stops for unknown facts, unless they are accepted", async () => {
    const blind = sourceOf(world, { cloud: undefined });
    const { context } = await refuse(await plan(), PruneBlockedError, { source: blind });
    expect(context.unknowns).to.have.lengthOf(2);
    const acceptedUnknowns = ["running-hashes", "prepare-tokens"] as const;
    await refuse(await plan({ acceptedUnknowns: ["running-hashes"] }, blind), PruneBlockedError, { source: blind });
    const { removed } = await apply(await plan({ acceptedUnknowns, keep: 4 }, blind), { source: blind });
    expect(removed).to.have.lengthOf(2);
  });

  it("stops for a proof that failed for the plan, until it succeeds or is accepted", async () => {
    const failing = sourceOf(world, { prove: async () => "The storage holds a hash that no event named." });
    const proving = sourceOf(world, { prove: async () => undefined });
    const planned = await plan({}, failing);
    for (const source of [failing, sourceOf(world)]) {
      const { context } = await refuse(planned, PruneBlockedError, { source });
      expect((context.unknowns as { kind: string }[]).map(({ kind }) => kind)).to.deep.equal(["proof"]);
    }
    expect((await apply(planned, { source: proving })).removed).to.have.lengthOf(4);
    await allowFillers(world, 2, "newer");
    const accepted = await plan({ acceptedUnknowns: ["proof"] }, failing);
    expect((await apply(accepted)).removed).to.have.lengthOf(2);
  });

  describe("stops and names the hash when, since the plan,", () => {
    const objectionsOf = ({ context }: PruneOvertakenError) =>
      (context.objections as { composeHash?: string }[]).map(({ composeHash }) => composeHash);

    it("a CVM runs it", async () => {
      const update = await prepareUpdate(world, "late");
      await allow(world, update.composeHash);
      await allowFillers(world, 1, "newer");
      // A plan that does not know of the token, as if it had been made before.
      const { prepared: _, ...facts } = await readAllowlistUseFrom(sourceOf(world));
      const planned = planPrune({ ...facts, prepared: [] }, keepRulesWith({ keep: 1 }));
      expect(removalsOf(planned)).to.include(update.composeHash);
      expect(objectionsOf(await refuse(planned, PruneOvertakenError))).to.deep.equal([update.composeHash]);
      await commitUpdate(world, update);
      expect(objectionsOf(await refuse(planned, PruneOvertakenError))).to.include(update.composeHash);
      await world.cloud.whenIdle();
      const after = objectionsOf(await refuse(planned, PruneOvertakenError));
      expect(after).to.deep.equal([update.composeHash]);
    });

    it("it was added again", async () => {
      const planned = await plan();
      const [oldest] = old;
      if (oldest !== undefined) await allow(world, oldest);
      expect(objectionsOf(await refuse(planned, PruneOvertakenError))).to.deep.equal([oldest]);
    });

    it("another account removed it", async () => {
      const planned = await plan();
      await apply(await plan({ keep: 4 }));
      expect(objectionsOf(await refuse(planned, PruneOvertakenError))).to.deep.equal([old[0]]);
    });

    it("the app has another owner", async () => {
      const planned = { ...(await plan()), owner: `0x${"0f".repeat(20)}` } as const;
      expect(objectionsOf(await refuse(planned, PruneOvertakenError))).to.deep.equal([undefined]);
    });

    it("the chain is another one with the same id", async () => {
      const planned = await plan();
      const pinned = { ...planned.pinned, hash: `0x${"ab".repeat(32)}` } as const;
      await refuse({ ...planned, pinned }, PruneOvertakenError);
      const beyond = { ...planned.pinned, number: planned.pinned.number + 1_000n };
      await refuse({ ...planned, pinned: beyond }, PruneOvertakenError);
    });

    it("an update was prepared with it just before the transaction", async () => {
      const update = await prepareUpdate(world, "very late");
      await allow(world, update.composeHash);
      await allowFillers(world, 2, "newer");
      const { cloudClient } = world;
      // The cloud keeps silent about the token until the facts were read for the second time.
      let reads = 0;
      const forgetful: typeof cloudClient = {
        ...cloudClient,
        request: (request) =>
          reads < 2 && request.path.includes("pending-updates")
            ? cloudClient.request({ ...request, path: request.path.replace(/[0-9a-f]{64}/, "00".repeat(32)) })
            : cloudClient.request(request),
      };
      const source = sourceOf(world, {
        cloud: forgetful,
        onProgress: (done, total) => {
          if (done === total) reads += 1;
        },
      });
      const planned = await plan({}, source);
      // One transaction for all, so that the hash is neither its first nor its last.
      expect(removalsOf(planned).indexOf(update.composeHash)).to.equal(1);
      const found = objectionsOf(await refuse(planned, PruneOvertakenError, { source, mode: "7702" }));
      expect(found).to.deep.equal([update.composeHash]);
    });

    it("its removal would empty the list", async () => {
      const planned = await plan({ keep: 0 });
      expect(removalsOf(planned)).to.deep.equal(old.toReversed());
      await fetch(`${world.cloud.baseUrl}/cvms/${world.cvm}`, {
        method: "DELETE",
        headers: { "x-api-key": world.apiKey },
      });
      await world.cloud.whenIdle();
      await sendBatch(world.ownerClient, {
        calls: [removeComposeHashCall({ appId: world.appId, composeHash: world.firstHash })],
        mode: "none",
      });
      const blind = sourceOf(world, { cloud: undefined });
      const accepted = {
        ...planned,
        policy: { ...planned.policy, acceptedUnknowns: ["running-hashes", "prepare-tokens"] as const },
      };
      const kept = accepted.rows.find(({ verdict }) => verdict === "keep")?.composeHash;
      const found = objectionsOf(await refuse(accepted, PruneOvertakenError, { source: blind }));
      expect(found, "the kept hash is gone too").to.deep.equal([kept, old.at(-1)]);
    });
  });

  it("stops with nothing sent when the cloud stops answering just before the first transaction", async () => {
    const { cloudClient } = world;
    let reads = 0;
    const source = sourceOf(world, {
      cloud: {
        ...cloudClient,
        request: (request) =>
          cloudClient.request(
            reads >= 2 && request.path.includes("pending-updates") ? { ...request, path: "/nowhere" } : request,
          ),
      },
      onProgress: (done, total) => {
        if (done === total) reads += 1;
      },
    });
    const { context } = await refuse(await plan({}, source), PruneBlockedError, { source });
    expect(reads, "reads of all facts").to.equal(2);
    expect((context.unknowns as { kind: string }[]).map(({ kind }) => kind)).to.deep.equal(["prepare-tokens"]);
  });

  it("carries out a plan that keeps young hashes", async () => {
    await world.advance(1_000);
    await allowFillers(world, 2, "young");
    const planned = await plan({ keep: 0, olderThanSeconds: 500 });
    expect(removalsOf(planned)).to.deep.equal(old.toReversed());
    expect((await apply(planned)).removed).to.have.members(old);
  });

  it("counts a hash without an event as the plan does", async () => {
    const [hidden, second] = old;
    if (hidden === undefined || second === undefined) throw new Error("there are five");
    const chain = world.ownerClient;
    /** A history from which the first hash's addition is missing. */
    const readPart = async () => {
      const history = await readHistory(chain, { appId: world.appId });
      return {
        ...history,
        changes: history.changes.filter((change) => !("composeHash" in change) || change.composeHash !== hidden),
      };
    };
    const source = sourceOf(world, { readHistory: readPart });
    const facts = await readAllowlistUseFrom(source, [hidden]);
    const policy = keepRulesWith({ acceptedUnknowns: ["history"] });
    // It may be the newest of all, so it takes the one place among the newest; at execution it must take it again.
    const kept = planPrune(facts, { ...policy, keep: 1, pins: [{ composeHash: hidden, source: "--pin" }] });
    expect(removalsOf(kept)).to.deep.equal(old.slice(1).toReversed());
    const alone = { ...kept, rows: kept.rows.filter(({ composeHash }) => composeHash !== second) };
    expect((await apply(alone, { source })).removed).to.deep.equal(old.slice(2).toReversed());

    const queued = [{ source: "safe.json", composeHashes: [hidden] }];
    const named = planPrune(await readAllowlistUseFrom(source, [hidden]), { ...policy, keep: 1, queued });
    expect((await apply(named, { source })).removed).to.deep.equal([second]);

    const last = planPrune(await readAllowlistUseFrom(source, [hidden]), policy);
    expect((await apply(last, { source })).removed).to.deep.equal([hidden]);
  });

  it("does not report a hash as removed that the contract still allows", async () => {
    const planned = await plan();
    let isMined = false;
    const { ownerClient } = world;
    /** An endpoint that answers for the state before the removals, once they are mined. */
    const lagging = createClient({
      chain: base,
      transport: custom({
        request: ({ method, params }) => {
          const isStale = method === "eth_call" && isMined;
          const at = isStale ? [params[0], numberToHex(planned.pinned.number)] : params;
          return ownerClient.request({ method, params: at });
        },
      }),
    });
    const onEvent: ApplyPrunePlanParameters["onEvent"] = ({ kind }) => {
      if (kind === "mined") isMined = true;
    };
    const source = { ...sourceOf(world), chain: lagging };
    const error = await catchError(apply(planned, { source, onEvent }), PruneOvertakenError);
    const objections = error.context.objections as { composeHash: string }[];
    expect(objections.map(({ composeHash }) => composeHash)).to.have.members(removalsOf(planned));
  });

  it("stops between two transactions at the signal", async () => {
    const stop = new AbortController();
    // Without a cloud there is no last look that would notice either.
    const source = sourceOf(world, { signal: stop.signal, cloud: undefined });
    const planned = await plan({ acceptedUnknowns: ["running-hashes", "prepare-tokens"], keep: 2 }, source);
    const onEvent: ApplyPrunePlanParameters["onEvent"] = ({ kind }) => {
      if (kind === "mined") stop.abort(new Error("Ctrl-C"));
    };
    const { context } = await catchError(apply(planned, { source, onEvent, window: 1 }), BatchStoppedError);
    expect(context).to.deep.equal({ done: 1, pending: 0, total: 4 });
  });

  it("reports at once a hash that came into use during its removal", async () => {
    const update = await prepareUpdate(world, "in the same second");
    await allow(world, update.composeHash);
    await allowFillers(world, 2, "newer");
    const { source, reveal } = forgetful();
    const planned = await plan({}, source);
    expect(removalsOf(planned).indexOf(update.composeHash)).to.equal(1);
    let mined = 0;
    const onEvent: ApplyPrunePlanParameters["onEvent"] = ({ kind }) => {
      if (kind === "mined") mined += 1;
      if (mined === removalsOf(planned).length) reveal();
    };
    const error = await catchError(apply(planned, { source, onEvent, window: 1 }), PrunedHashInUseError);
    expect(String(error.nextStep)).to.include(update.composeHash);
  });

  describe("after a crash", () => {
    /** A ledger whose process ends right after a write, or before the one that ends a transaction. */
    function crashing(ledger: Ledger, at: "recorded" | "ended"): Ledger {
      return crashingLedger(ledger, at === "recorded" ? { write: 1, when: "after" } : { write: 3, when: "before" });
    }
    const openIn = (ledger: Ledger) => ledger.transactions({ states: ["open"] });

    for (const at of ["recorded", "ended"] as const) {
      it(`continues with the signed transaction, and pays nothing twice (${at})`, async () => {
        const ledger = memoryLedger();
        const planned = await plan({ keep: 4 });
        const [only] = removalsOf(planned);
        const before = await countTransactions();
        await catchError(apply(planned, { ledger: crashing(ledger, at) }), Error);
        expect(openIn(ledger)).to.have.lengthOf(1);

        const again = await apply(planned, { ledger });
        expect(again).to.deep.include({ removed: [], finished: [only], mode: undefined });
        expect(openIn(ledger)).to.have.lengthOf(0);
        expect(await countTransactions()).to.equal(before + 1);
        expect(await allowedNow(world, [...old])).to.have.lengthOf(4);
      });
    }

    it("does not send the signed transaction when its hash is needed now", async () => {
      const ledger = memoryLedger();
      const planned = await plan({ keep: 4 });
      const [only] = removalsOf(planned);
      await catchError(apply(planned, { ledger: crashing(ledger, "recorded") }), Error);
      const pinned = { ...planned.policy, pins: [{ composeHash: only as ComposeHash, source: "--pin" }] };
      await refuse({ ...planned, policy: pinned }, PruneOvertakenError, { ledger });
      expect(await allowedNow(world, [...old])).to.have.lengthOf(5);
    });

    it("removes the hash again when another transaction took the recorded nonce", async () => {
      const ledger = memoryLedger();
      const planned = await plan({ keep: 4 });
      const [only] = removalsOf(planned);
      await catchError(apply(planned, { ledger: crashing(ledger, "recorded") }), Error);
      await allow(world, world.firstHash);

      const again = await apply(planned, { ledger });
      expect(again).to.deep.include({ removed: [only], finished: [], mode: "none" });
      expect(openIn(ledger)).to.have.lengthOf(0);
      expect(await allowedNow(world, [...old])).to.have.lengthOf(4);
    });

    it("is not stopped by a record that can never be mined, even when its hash is needed now", async () => {
      const ledger = memoryLedger();
      const planned = await plan({ keep: 3 });
      const [second, first] = removalsOf(planned);
      const alone = { ...planned, rows: planned.rows.filter(({ composeHash }) => composeHash === first) };
      await catchError(apply(alone, { ledger: crashing(ledger, "recorded") }), Error);
      const pins = [{ composeHash: first as ComposeHash, source: "--pin" }];
      const pinned = planPrune(await readAllowlistUseFrom(sourceOf(world)), { ...planned.policy, pins });
      await refuse(pinned, PruneOvertakenError, { ledger });
      await allow(world, world.firstHash);

      const result = await apply(pinned, { ledger });
      expect(result).to.deep.include({ removed: [second], finished: [] });
      expect(openIn(ledger)).to.have.lengthOf(0);
      expect(await allowedNow(world, [...old])).to.have.members(old.filter((hash) => hash !== second));
    });

    it("does not count a wallet's transaction without a hash as replaced: it may be the mined one", async () => {
      const ledger = memoryLedger();
      const planned = await plan({ keep: 4 });
      const [only] = removalsOf(planned);
      const earlier = memoryLedger();
      await apply(planned, { ledger: earlier });
      const [sent] = earlier.transactions();
      if (sent === undefined) throw new Error("one was sent");
      const { rawTransaction: _, transactionHash: __, ...unsigned } = preparedOf(sent);
      putRecord(ledger, unsigned, { ...sent, purpose: { kind: "prune" } });
      const account = parseAccount(world.owner.address); // as if the node had the key
      expect(await apply(planned, { ledger, account })).to.deep.include({ removed: [], finished: [only] });
      expect(openIn(ledger)).to.have.lengthOf(0);
    });

    it("sends no record of a ledger other than removals of the app", async () => {
      const planned = await plan({ keep: 4 });
      const { from, nonce } = { from: world.owner.address, nonce: 10_000 };
      const { appId, chainId } = planned;
      const removal = removalsOf(planned).map((composeHash) => removeComposeHashCall({ appId, composeHash }));
      const { chain } = await readChainIdentity(world.ownerClient, chainId);
      const stranger = `0x${"ee".repeat(20)}` as const;
      const otherApp = parseAppId("ee".repeat(20));
      const foreign = [
        transferOwnershipCall({ appId, newOwner: stranger }),
        removeComposeHashCall({ appId: otherApp, composeHash: world.firstHash }),
      ];
      for (const call of foreign) {
        const ledger = memoryLedger();
        const calls = [...removal, call];
        const fees = { gas: 100_000n, maxFeePerGas: 10n ** 9n, maxPriorityFeePerGas: 1n };
        const batch = { to: from, data: encodeExecute(calls), functionName: "a batch" };
        putRecord(ledger, { chainId, from, nonce, ...batch, ...fees }, { calls, chain, purpose: { kind: "prune" } });
        const before = await allowedNow(world, [...old]);
        const account = parseAccount(from); // as if the node had the key
        const error = await catchError(apply(planned, { ledger, account }), InvalidArgumentError);
        expect(error.message).to.include(call.description).and.include(call.to);
        expect(await allowedNow(world, [...old])).to.deep.equal(before);
        expect(openIn(ledger)).to.have.lengthOf(1);
      }
    });

    it("reports when a recorded transaction's hash came into use during its removal", async () => {
      const update = await prepareUpdate(world, "in the same second");
      await allow(world, update.composeHash);
      await allowFillers(world, 1, "newer");
      const { source, reveal } = forgetful();
      const planned = await plan({ keep: 1 }, source);
      const [newest] = removalsOf(planned);
      expect(newest).to.equal(update.composeHash);
      const alone = { ...planned, rows: planned.rows.filter(({ composeHash }) => composeHash === newest) };
      const ledger = memoryLedger();
      await catchError(apply(alone, { source, ledger: crashing(ledger, "recorded") }), Error);

      const onEvent: ApplyPrunePlanParameters["onEvent"] = ({ kind }) => {
        if (kind === "mined") reveal();
      };
      const error = await catchError(apply(alone, { source, ledger, onEvent }), PrunedHashInUseError);
      expect(String(error.nextStep)).to.include(update.composeHash);
    });
  });
});
