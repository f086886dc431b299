import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keccak256, numberToHex } from "viem";
import { type Ledger, openLedger, type RecordParameters } from "../src/chain/transactions/ledger.ts";
import { parseAppId, parseComposeHash } from "../src/core/ids.ts";
import { addComposeHashCall } from "../src/core/owner-calls.ts";
import { gone, signer, signRecord } from "../test/support/ledger/signed-record.ts";
import type { BenchReport } from "./report.ts";

const [few, many] = [20, 1_000];
/** The newest entries, whose transactions have not ended. */
const open = 10;
const repetitions = 20;
const chain = "8453";
const appId = parseAppId("a0".repeat(20));

/** The operations of a ledger on disk with 1,000 entries, compared with the same ones on a ledger with 20. */
export async function benchLedger(): Promise<BenchReport> {
  const scratch = await mkdtemp(join(tmpdir(), "dstack-bench-"));
  try {
    await measure(scratch, { name: "warm-up", entries: few });
    const small = await measure(scratch, { name: "small", entries: few });
    const large = await measure(scratch, { name: "large", entries: many });
    return {
      title: `The ledger with ${few} and with ${many.toLocaleString("en-US")} entries (${open} of them open)`,
      rows: Object.entries(large).map(([operation, { wallMs, cpuMs }]) => {
        const base = small[operation] ?? { wallMs: Number.NaN, cpuMs: Number.NaN };
        return {
          operation,
          [`${few}: wall ms`]: base.wallMs.toFixed(3),
          [`${few}: CPU ms`]: base.cpuMs.toFixed(3),
          [`${many}: wall ms`]: wallMs.toFixed(3),
          [`${many}: CPU ms`]: cpuMs.toFixed(3),
          "CPU ratio": `${(cpuMs / base.cpuMs).toFixed(1)} x`,
        };
      }),
      note: `means of ${repetitions} runs; every entry that is read is checked against its signed bytes; a record is a synchronous write`,
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

interface Subject {
  readonly name: string;
  readonly entries: number;
}

async function measure(scratch: string, { name, entries }: Subject): Promise<Readonly<Record<string, Cost>>> {
  const path = join(scratch, `${name}.sqlite`);
  using ledger = openLedger(path);
  await fill(ledger, entries);
  const nonces = { chain, signer: signer.address, ...counted(entries - open), isDevelopment: false, count: 1 };
  const next: RecordParameters[] = [];
  for (let nonce = entries; nonce < entries + repetitions; nonce += 1) next.push(await entryOf(nonce, entries - open));
  return {
    "open and close": meanOf(() => openLedger(path).close()),
    "list the newest 20": meanOf(() => expectCount(ledger.transactions({ limit: 20 }).length, 20)),
    "list the open ones": meanOf(() => expectCount(ledger.transactions({ states: ["open"] }).length, open)),
    "list all": meanOf(() => expectCount(ledger.transactions().length, entries)),
    "allot a nonce": meanOf(() => expectCount(ledger.nextNonce(nonces), entries), 50),
    "record a transaction": meanOf((run) => record(ledger, next[run])),
  };
}

async function fill(ledger: Ledger, entries: number): Promise<void> {
  for (let nonce = 0; nonce < entries; nonce += 1) {
    const transaction = record(ledger, await entryOf(nonce, 0));
    const { transactionHash } = transaction.attempts[0] ?? {};
    if (transactionHash === undefined || nonce >= entries - open) continue;
    ledger.setState(transaction.id, "mined", {
      ...{ transactionHash, blockNumber: BigInt(nonce + 1) },
      ...{ gasUsed: 60_000n, costWei: 10n ** 12n },
    });
    ledger.endBatch(transaction.batch);
  }
}

/** A command of its own with one call. */
async function entryOf(nonce: number, floor: number): Promise<RecordParameters> {
  const call = addComposeHashCall({ appId, composeHash: parseComposeHash(keccak256(numberToHex(nonce))) });
  const calls = [call];
  return {
    ...{ calls, authorizes: false, owner: gone, since: 0, isDevelopment: false, ...counted(floor) },
    key: { chain, signer: signer.address, purpose: { kind: "batch" }, calls },
    prepared: await signRecord({ calls, to: call.to, data: call.data, nonce }),
  };
}

function counted(floor: number) {
  return { floor, floorReadAt: Date.now() };
}

function record(ledger: Ledger, entry: RecordParameters | undefined) {
  const outcome = entry && ledger.record(entry);
  if (outcome?.kind !== "recorded") throw new Error(`The ledger did not record: ${outcome?.kind}.`);
  return outcome.transaction;
}

function expectCount(found: number, expected: number): void {
  if (found !== expected) throw new Error(`The ledger answered ${found} instead of ${expected}.`);
}

/** The mean of one operation. @param times per run, where one is too short to be measured */
function meanOf(operation: (run: number) => unknown, times = 1): Cost {
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (let run = 0; run < repetitions * times; run += 1) operation(run);
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const count = repetitions * times;
  return { wallMs: wallMs / count, cpuMs: (user + system) / 1000 / count };
}
