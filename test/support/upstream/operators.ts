import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Block, Hex } from "viem";
import { root } from "../../../scripts/support/paths.ts";
import { type OwnerEvent, ownerEvents, type WatchedContract } from "../../../src/core/owner-events.ts";
import { projectOf, runTask, type TaskRun } from "../hardhat/run-task.ts";
import { type SafeService, startSafeService } from "../safe/service.ts";
import { type AppCase, type OwnerKind, type Person, privateKeys, timelockDelay } from "./cases.ts";
import type { Upstream } from "./start-upstream.ts";

/** A transaction that the upstream mined. */
export interface LiveTransaction {
  readonly gasUsed: bigint;
  readonly events: readonly OwnerEvent[];
}

/** The people around the upstream's apps, each with a key and a project of their own, and with the real tasks. */
export class Operators {
  readonly #upstream: Upstream;
  readonly #service: SafeService;
  readonly #projects = new Map<Person, Promise<HardhatRuntimeEnvironment>>();

  private constructor(upstream: Upstream, service: SafeService) {
    this.#upstream = upstream;
    this.#service = service;
  }

  static async open(upstream: Upstream): Promise<Operators> {
    return new Operators(upstream, await startSafeService({ rpcUrl: upstream.chain.rpcUrl }));
  }

  /** Runs a task and demands its exit code. */
  async run(person: Person, task: string, args: Record<string, unknown> = {}, exitCode = 0): Promise<TaskRun> {
    const done = await runTask(await this.#project(person), task.split(" "), { json: true, ...args });
    expect(done.exitCode, `${task}: ${done.stdout}${done.stderr}`).to.equal(exitCode);
    return done;
  }

  /** Executes a plan as its owners do it: with their keys, their signatures and their delays. */
  async execute(owner: OwnerKind, file: string, { batch = "none" }: { readonly batch?: string } = {}): Promise<void> {
    const own = { ledger: `${file}.sqlite`, yes: true };
    switch (owner) {
      case "key":
        await this.run("owner", "plan apply", { file, batch, ...own, store: ":memory:" });
        return;
      case "safe":
        return this.#executeInSafe(file);
      case "timelock":
        await this.run("proposer", "timelock schedule", { file, ...own });
        await this.#upstream.advance(timelockDelay + aMinute);
        await this.run("proposer", "timelock execute", { file, ...own });
        return;
      case "timelockOfSafe": {
        const { safe } = this.#upstream.owners;
        await this.run("safeOwner1", "timelock schedule", { file, from: safe, plan: `${file}.1` });
        await this.#executeInSafe(`${file}.1`);
        await this.#upstream.advance(timelockDelay + aMinute);
        await this.run("safeOwner1", "timelock execute", { file, from: safe, plan: `${file}.2` });
        return this.#executeInSafe(`${file}.2`);
      }
      case "mute":
        throw new Error("No person can make this owner call anything.");
    }
  }

  /** What the chain mined since a block, in its order. */
  async transactionsSince(blockNumber: bigint, watched: readonly WatchedContract[]): Promise<LiveTransaction[]> {
    const { client } = this.#upstream.chain;
    const head = await client.getBlockNumber({ cacheTime: 0 });
    const hashes: Hex[] = [];
    for (let number = blockNumber + 1n; number <= head; number++) {
      const block: Block = await client.getBlock({ blockNumber: number });
      hashes.push(...(block.transactions as Hex[])); // without `includeTransactions`
    }
    const receipts = await Promise.all(hashes.map((hash) => client.getTransactionReceipt({ hash })));
    return receipts.map(({ gasUsed, logs }) => ({ gasUsed, events: ownerEvents(logs, watched) }));
  }

  async close(): Promise<void> {
    await this.#service.close();
  }

  async #executeInSafe(file: string): Promise<void> {
    await this.run("safeOwner1", "safe propose", { file, yes: true });
    await this.run("safeOwner2", "safe sign", { file, yes: true });
    await this.run("stranger", "safe execute", { file, ledger: `${file}.sqlite`, yes: true });
  }

  #project(person: Person): Promise<HardhatRuntimeEnvironment> {
    const known = this.#projects.get(person);
    if (known !== undefined) return known;
    const config = { ownerKey: privateKeys[person], safe: { service: this.#service.url } };
    const project = projectOf(this.#upstream, config, { paths: { artifacts: join(root, "artifacts") } });
    this.#projects.set(person, project);
    return project;
  }
}

/** Blocks that are mined fast have timestamps ahead of the clock. */
const aMinute = 60;

/** Who writes the plans of an app. */
export function plannerOf({ owner }: AppCase): Person {
  return owner === "key" ? "owner" : "stranger";
}
