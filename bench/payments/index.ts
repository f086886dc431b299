import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Hex, http, keccak256, numberToHex } from "viem";
import { getTransactionCount } from "viem/actions";
import { base } from "viem/chains";
import { openLedger } from "../../src/chain/transactions/ledger.ts";
import { devAccount } from "../../src/world/chain/client.ts";
import { launchCvm } from "../../src/world/cvms.ts";
import { startWorld, type World } from "../../src/world/start-world.ts";
import type { BenchReport } from "../report.ts";
import { medianOf, type Usage } from "../usage.ts";
import { startWorker, type Worker } from "../worker.ts";
import type { PayerSettings, PayerTask } from "./payer.ts";

const rounds = 3;
const hashesPerRound = 50;
const ofEachProcess = 100;

/**
 * Batches and prunes beside a plain viem loop for the same hashes, and two processes that send with one key. Each client
 * is a process of its own; chain and cloud run in this one.
 */
export async function benchPayments(): Promise<BenchReport> {
  const scratch = await mkdtemp(join(tmpdir(), "dstack-bench-"));
  const world = await startWorld({ cvms: false, cloud: { rolloverMs: 0 } });
  const payers: Payer[] = [];
  const start = async (owner: Owner, way: PayerSettings["way"]) => {
    const payer = await startPayer(world, scratch, owner, way);
    payers.push(payer);
    return payer;
  };
  try {
    const [first, second, third, fourth] = [
      await createOwner(world, 1),
      await createOwner(world, 2),
      await createOwner(world, 3),
      await createOwner(world, 4),
    ] as const;
    const ways = {
      plain: await start(first, "plain"),
      none: await start(second, "none"),
      "7702": await start(third, "7702"),
    };
    const pair = [await start(fourth, "none"), await start(fourth, "none")] as const;
    return {
      title: "Batches, prunes and two processes with one key, beside a plain loop of viem's writeContract",
      rows: [...(await measureWays(ways)), ...(await measurePair(world, scratch, { fourth, pair, plain: ways.plain }))],
      note: [
        `adding, removing: ${hashesPerRound} hashes, median of ${rounds}; the first round of 7702 also delegates.`,
        "removing, except by the loop, is a whole prune: it reads history and cloud, plans, checks again, and removes.",
        "plain: each transaction is sent once the one before is mined; no ledger, no proof of its effect.",
        "CPU and requests: of the clients. No nonce is missing or used twice in the last row, or the bench fails.",
      ].join("\n"),
    };
  } finally {
    for (const payer of payers) payer.stop();
    await world.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

type Payer = Worker<PayerTask, Usage>;

/** A dev account, and the app of its CVM. */
interface Owner {
  readonly index: number;
  readonly appId: string;
}

async function createOwner(world: World, index: number): Promise<Owner> {
  const account = devAccount(index);
  const chain = createClient({ account, chain: base, transport: http(world.chain.rpcUrl), pollingInterval: 5 });
  const { appId } = await launchCvm({
    ...{ cloud: world.cloudClient, chain, owner: account.address, name: `bench-${index}` },
    dockerCompose: "services:\n  app:\n    image: registry.example/app:0\n",
  });
  return { index, appId };
}

function startPayer(world: World, scratch: string, { index, appId }: Owner, way: PayerSettings["way"]): Promise<Payer> {
  const settings: PayerSettings = {
    ...{ rpcUrl: world.chain.rpcUrl, cloudUrl: world.cloud.baseUrl, apiKey: world.apiKey, owner: index, appId, way },
    ledgerPath: ledgerOf(scratch, index),
  };
  return startWorker(new URL("payer.ts", import.meta.url), settings);
}

function ledgerOf(scratch: string, owner: number): string {
  return join(scratch, `${owner}.sqlite`);
}

async function measureWays(ways: Readonly<Record<PayerSettings["way"], Payer>>) {
  const usages = new Map<string, Usage[]>();
  for (let round = 0; round < rounds; round += 1)
    for (const kind of ["add", "remove"] as const)
      for (const [way, payer] of Object.entries(ways)) {
        const usage = await payer.ask({ kind, hashes: hashesFrom(round * hashesPerRound, hashesPerRound) });
        usages.set(kind + way, [...(usages.get(kind + way) ?? []), usage]);
      }
  const of = (kind: PayerTask["kind"], way: string) => medianOf(usages.get(kind + way) ?? []);
  return [
    describe("adding: plain loop", hashesPerRound, of("add", "plain"), of("add", "plain")),
    describe("adding: sendBatch none", hashesPerRound, of("add", "none"), of("add", "plain")),
    describe("adding: sendBatch 7702", 1, of("add", "7702"), of("add", "plain")),
    describe("removing: plain loop", hashesPerRound, of("remove", "plain"), of("remove", "plain")),
    describe("removing: prune none", hashesPerRound, of("remove", "none"), of("remove", "plain")),
    describe("removing: prune 7702", 1, of("remove", "7702"), of("remove", "plain")),
  ];
}

interface PairParameters {
  readonly fourth: Owner;
  readonly pair: readonly [Payer, Payer];
  readonly plain: Payer;
}

async function measurePair(world: World, scratch: string, { fourth, pair, plain }: PairParameters) {
  const from = rounds * hashesPerRound;
  const all = 2 * ofEachProcess;
  const loop = await plain.ask({ kind: "add", hashes: hashesFrom(from, all) });
  // The loop's process has worked before, too.
  for (const [index, payer] of pair.entries())
    await payer.ask({ kind: "add", hashes: hashesFrom(index * hashesPerRound, hashesPerRound) });
  const { address } = devAccount(fourth.index);
  const before = await getTransactionCount(world.ownerClient, { address });
  const start = performance.now();
  const [one, other] = await Promise.all([
    pair[0].ask({ kind: "add", hashes: hashesFrom(from, ofEachProcess) }),
    pair[1].ask({ kind: "add", hashes: hashesFrom(from + ofEachProcess, ofEachProcess) }),
  ]);
  const wallMs = performance.now() - start;
  const after = await getTransactionCount(world.ownerClient, { address });
  using ledger = openLedger(ledgerOf(scratch, fourth.index));
  const sent = ledger.transactions().filter(({ nonce }) => nonce >= before);
  const used = sent.map(({ nonce, state }) => `${nonce} ${state}`).toSorted();
  const expected = Array.from({ length: all }, (_, index) => `${before + index} mined`).toSorted();
  if (after !== before + all || used.join() !== expected.join())
    throw new Error(`The chain used ${after - before} nonces for ${all} calls. The ledger holds: ${used.join(", ")}.`);
  const together = { wallMs, cpuMs: one.cpuMs + other.cpuMs, requests: one.requests + other.requests };
  return [
    describe("one key: plain loop, one process", all, loop, loop),
    describe(`one key: two processes, ${ofEachProcess} each`, all, together, loop),
  ];
}

function describe(task: string, transactions: number, { wallMs, cpuMs, requests }: Usage, plain: Usage) {
  return {
    task,
    transactions,
    "wall ms": Math.round(wallMs),
    "tx / s": ((1000 * transactions) / wallMs).toFixed(1),
    "CPU ms": Math.round(cpuMs),
    requests,
    "wall : plain": (wallMs / plain.wallMs).toFixed(2),
    "CPU : plain": (cpuMs / plain.cpuMs).toFixed(2),
    "requests : plain": (requests / plain.requests).toFixed(2),
  };
}

/** Hashes without a document. */
function hashesFrom(first: number, count: number): readonly Hex[] {
  return Array.from({ length: count }, (_, index) => keccak256(numberToHex(first + index, { size: 32 })));
}
