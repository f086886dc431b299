import { expect } from "chai";
import fc from "fast-check";
import { network } from "hardhat";
import { getAddress, type Hex } from "viem";
import type { AppId, ComposeHash } from "../../../../src/core/ids.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import {
  type BackendVerdict,
  type EventVerdict,
  type PlanVerdict,
  type ReceiptWorld,
  startReceiptWorld,
} from "../../../../src/testing/index.ts";
import { creationOf, logger, relayed, topics } from "../../../../src/testing/receipts/hostile-code.ts";
import { ofRelay, sendDelegated } from "../../../../src/testing/receipts/route-cases.ts";
import { create, mine, send, sendCall, snapshot } from "../../../../src/testing/receipts/world.ts";
import { expectRightVerdicts } from "../../../support/receipts/judges.ts";

const hashes = ["01", "02", "03"].map((byte) => parseComposeHash(byte.repeat(32)));

/** A change of one hash of one app: app 0 belongs to a key, app 1 to a contract. */
interface Change {
  readonly verb: "add" | "remove";
  readonly app: 0 | 1;
  readonly hash: number;
}

type Action =
  /** By the key: one call, or a batch of calls. Those for app 1 go through the contract that owns it. */
  | { readonly kind: "sent"; readonly changes: readonly Change[] }
  /** By the contract, which reverts the call after the event and goes on. */
  | { readonly kind: "rolledBack"; readonly change: Omit<Change, "app"> }
  | { readonly kind: "byStranger"; readonly change: Omit<Change, "app"> }
  | { readonly kind: "forged"; readonly hash: number }
  /** The last blocks leave the chain. */
  | { readonly kind: "reorganised"; readonly depth: number };

const app = fc.constantFrom(0 as const, 1 as const);
const verb = fc.constantFrom("add" as const, "add" as const, "remove" as const);
const change = fc.record({ verb, hash: fc.nat(2) });
const changes = fc.array(fc.record({ verb, app, hash: fc.nat(2) }), { minLength: 1, maxLength: 4 });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("sent"), changes }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("rolledBack"), change }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("byStranger"), change }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forged"), hash: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reorganised"), depth: fc.integer({ min: 1, max: 3 }) }) },
);
/** `transaction` counts from the last one back. Null claims already-registered. */
const question = fc.record({
  transaction: fc.option(fc.nat(5), { freq: 6 }),
  app,
  hash: fc.nat(2),
});
type Question = typeof question extends fc.Arbitrary<infer Value> ? Value : never;

/** What a transaction did to the apps, in order. */
interface Effect {
  readonly isReverted: boolean;
  readonly changes: readonly Change[];
}

/** The simple model: the transactions of the chain, in order. What an app allows follows from a replay. */
class Model {
  readonly mined: { readonly transactionHash: Hex; readonly effect: Effect }[] = [];
  /** Also of those that left the chain. */
  readonly known: Hex[] = [];

  note(transactionHash: Hex, changes: readonly Change[], isReverted = false): void {
    this.mined.push({ transactionHash, effect: { isReverted, changes } });
    this.known.push(transactionHash);
  }

  isAllowed({ app, hash }: Question): boolean {
    const all = this.mined.flatMap(({ effect }) => effect.changes);
    return all.findLast((one) => one.app === app && one.hash === hash)?.verb === "add";
  }

  backend(asked: Question, transactionHash: Hex | null): BackendVerdict {
    const isProven = transactionHash === null || this.events(asked, transactionHash) === "proven";
    if (!isProven) return "transaction-not-verified";
    return this.isAllowed(asked) ? "accepted" : "hash-not-allowed";
  }

  events({ app, hash }: Question, transactionHash: Hex | null): EventVerdict {
    if (transactionHash === null) return null;
    const effect = this.#find(transactionHash);
    if (effect === undefined) return "not-mined";
    const isAdded = effect.changes.some((one) => one.verb === "add" && one.app === app && one.hash === hash);
    return isAdded ? "proven" : "not-proven";
  }

  plan(asked: Question, transactionHash: Hex | null): PlanVerdict {
    const events = this.events(asked, transactionHash);
    if (transactionHash === null || events === null) return null;
    if (events === "not-mined") return events;
    const effect = this.#find(transactionHash);
    if (effect?.isReverted === true) return "reverted";
    if (events === "not-proven") return "missing-event";
    return effect?.changes.filter(({ app }) => app === asked.app).length === 1 ? "applied" : "extra-event";
  }

  #find(wanted: Hex): Effect | undefined {
    return this.mined.find(({ transactionHash }) => transactionHash === wanted)?.effect;
  }
}

describe("random mixtures of registrations, removals, forgeries and reorganisations", () => {
  let world: ReceiptWorld;
  /** Every verdict that was right at least once. */
  const seen = new Set<string | null>();

  before(async () => {
    world = await startReceiptWorld(await network.create({ network: "default", override: { chainId: 8453 } }));
  });

  const appOf = (app: 0 | 1): AppId => (app === 0 ? world.app : world.relayApp);
  const hashOf = (index: number): ComposeHash => hashes[index] ?? world.otherHash;

  function callOf({ verb, app, hash }: Change): OwnerCall {
    const parameters = { appId: appOf(app), composeHash: hashOf(hash) };
    return verb === "add" ? addComposeHashCall(parameters) : removeComposeHashCall(parameters);
  }

  /** The call as the key makes it. The contract owns app 1 and passes the call on. */
  function throughOwner(change: Change): OwnerCall {
    const call = callOf(change);
    if (change.app === 0) return call;
    return { ...call, to: world.relay, data: relayed("strict", call.to, call.data) };
  }

  async function act(model: Model, done: Exclude<Action, { kind: "reorganised" }>): Promise<void> {
    const { relay: to, relayApp, stranger } = world;
    if (done.kind === "sent") {
      const [only, ...more] = done.changes.map(throughOwner);
      if (only === undefined) return;
      const sent = more.length === 0 ? sendCall(world, only) : sendDelegated(world, [only, ...more]);
      model.note(await sent, done.changes);
    } else if (done.kind === "rolledBack") {
      const inner = relayed("reverting", relayApp, callOf({ ...done.change, app: 1 }).data);
      model.note(await send(world, { to, data: relayed("tolerant", to, inner) }), []);
    } else if (done.kind === "byStranger") {
      model.note(await sendCall(world, callOf({ ...done.change, app: 0 }), { from: stranger }), [], true);
    } else {
      const forger = await create(world, creationOf(logger({ topics: [topics.added], data: hashOf(done.hash) })));
      model.note(await send(world, { to: forger, data: "0x" }), []);
    }
  }

  async function play(model: Model, actions: readonly Action[]): Promise<void> {
    const before: { readonly back: () => Promise<void>; readonly mined: number }[] = [];
    for (const one of actions) {
      if (one.kind !== "reorganised") {
        before.push({ back: await snapshot(world), mined: model.mined.length });
        await act(model, one);
        continue;
      }
      const dropped = before.splice(-one.depth);
      await dropped[0]?.back();
      model.mined.splice(dropped[0]?.mined ?? model.mined.length);
      await mine(world, one.depth + 1);
    }
  }

  async function compare(model: Model, asked: Question): Promise<void> {
    const { kms, provider, client, deviceId, owner } = world;
    const named = asked.transaction === null ? null : model.known.at(-1 - asked.transaction);
    if (named === undefined) return;
    const appId = appOf(asked.app);
    const verdicts = {
      backend: model.backend(asked, named),
      events: model.events(asked, named),
      plan: model.plan(asked, named),
    };
    for (const verdict of Object.values(verdicts)) seen.add(verdict);
    await expectRightVerdicts({
      claim: {
        ...{ chainId: client.chain.id, kms, appId, deviceId, composeHash: hashOf(asked.hash) },
        transactionHash: named ?? "already-registered",
      },
      owner: asked.app === 0 ? { kind: "key", address: getAddress(owner.address) } : ofRelay(world),
      finality: "latest",
      provider,
      verdicts,
    });
  }

  it("get from each judge the verdict of a simple model", async () => {
    // A failure prints the seed and the smallest mixture.
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 2, maxLength: 8 }),
        fc.array(question, { minLength: 6, maxLength: 12 }),
        async (actions, questions) => {
          const back = await snapshot(world);
          try {
            const model = new Model();
            await play(model, actions);
            for (const asked of questions) await compare(model, asked);
          } finally {
            await back();
          }
        },
      ),
      { numRuns: 60 },
    );
    expect([...seen]).to.include.members([
      ...["accepted", "hash-not-allowed", "transaction-not-verified"],
      ...["proven", "not-proven", "not-mined", null],
      ...["applied", "extra-event", "missing-event", "reverted"],
    ]);
  });
});
