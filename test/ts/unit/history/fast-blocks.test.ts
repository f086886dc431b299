import { expect } from "chai";
import { createClient, custom, type Hex, keccak256, numberToHex } from "viem";
import { findBlockAt, readBlock, readUnsettledBlocks } from "../../../../src/history/blocks.ts";

const genesis = 1_700_000_000;
const retryDelayMs = 0.01;

interface ChainSettings {
  readonly blockMs: number;
  readonly head: number;
  /** Whether blocks tell their milliseconds. */
  readonly tellsMs?: boolean;
  readonly tags?: Readonly<Record<string, number>>;
}

/** A node whose blocks take the same time each. */
function chainOf({ blockMs, head, tellsMs = false, tags = {} }: ChainSettings) {
  const blockAt = (number: number) => {
    const timeMs = genesis * 1000 + number * blockMs;
    return {
      number: numberToHex(number),
      hash: keccak256(numberToHex(number, { size: 32 })),
      timestamp: numberToHex(Math.floor(timeMs / 1000)),
      ...(tellsMs && { timestampMs: numberToHex(timeMs) }),
    };
  };
  const request = async ({ params }: { params?: unknown }) => {
    const [asked] = params as [Hex | string];
    if (asked === "latest") return blockAt(head);
    if (asked.startsWith("0x")) return blockAt(Number(asked));
    const number = tags[asked];
    if (number === undefined) throw Object.assign(new Error(`${asked} block not found`), { code: -39001 });
    return blockAt(number);
  };
  return createClient({ transport: custom({ request }, { retryCount: 0 }) });
}

describe("findBlockAt on a chain of five blocks a second", () => {
  const head = 1_003;
  const find = async (tellsMs: boolean, timestamp: number, milliseconds?: number) => {
    const client = chainOf({ blockMs: 200, head, tellsMs });
    const found = await findBlockAt(client, {
      timestamp: BigInt(genesis + timestamp),
      milliseconds: milliseconds === undefined ? undefined : BigInt(milliseconds),
    });
    return found?.number;
  };

  for (const tellsMs of [false, true]) {
    const what = tellsMs ? "that tell their milliseconds" : "without milliseconds";
    it(`finds the last of the blocks of one second, among blocks ${what}`, async () => {
      for (const second of [0, 1, 77, 199]) expect(await find(tellsMs, second)).to.equal(BigInt(second * 5 + 4));
      expect(await find(tellsMs, 200)).to.equal(BigInt(head));
      expect(await find(tellsMs, -1)).to.equal(undefined);
    });
  }

  it("finds the block of a moment within a second, where blocks tell their milliseconds", async () => {
    for (const [milliseconds, index] of [
      [0, 0],
      [199, 0],
      [200, 1],
      [450, 2],
      [999, 4],
    ] as const)
      expect(await find(true, 77, milliseconds), `${milliseconds}`).to.equal(BigInt(77 * 5 + index));
  });

  it("counts blocks without milliseconds as of the beginning of their second", async () => {
    for (const milliseconds of [0, 450, 999]) expect(await find(false, 77, milliseconds)).to.equal(BigInt(77 * 5 + 4));
  });

  it("ignores milliseconds that contradict the timestamp", async () => {
    const client = chainOf({ blockMs: 200, head, tellsMs: true });
    const lying = createClient({
      transport: custom({
        request: async (call: { method: string; params?: unknown }) => ({
          ...((await client.request(call as never)) as object),
          timestampMs: "0x1",
        }),
      }),
    });
    const found = await findBlockAt(lying, { timestamp: BigInt(genesis + 77) });
    expect(found?.number).to.equal(77n * 5n + 4n);
  });
});

describe("readUnsettledBlocks", () => {
  const head = 10_000;
  const read = async (settings: Omit<ChainSettings, "head">, start = 0n) => {
    const client = chainOf({ head, ...settings });
    const pinned = await readBlock(client, BigInt(head), { retryDelayMs });
    if (pinned === undefined) throw new Error("the chain has it");
    const { count, checkpoints } = await readUnsettledBlocks(client, pinned, { start, retryDelayMs });
    return { count, checkpoints: checkpoints.map(({ number }) => number) };
  };

  it("are those after the safe block, where the node tells it", async () => {
    const tags = { safe: 9_635, finalized: 3_825 };
    expect(await read({ blockMs: 200, tags })).to.deep.equal({ count: 365n, checkpoints: [9_635n, 3_825n] });
  });

  for (const [what, tags] of [
    ["without the tags", {}],
    ["that calls the newest block final", { safe: head, finalized: head }],
  ] as const) {
    it(`are those of about two minutes on a node ${what}, on fast and slow chains`, async () => {
      // 64 blocks of 200 ms take 12 or 13 s by their timestamps.
      expect(await read({ blockMs: 200, tags })).to.deep.equal({ count: 630n, checkpoints: [9_843n, 7_478n] });
      expect(await read({ blockMs: 2_000, tags })).to.deep.equal({ count: 64n, checkpoints: [9_984n, 9_744n] });
    });
  }

  it("are a bounded number on a chain that stands still or skips time", async () => {
    expect((await read({ blockMs: 0 })).count).to.equal(1_280n);
    expect((await read({ blockMs: 86_400_000 })).count).to.equal(64n);
  });

  it("keep no hash of a block before the history", async () => {
    expect((await read({ blockMs: 200 }, 9_000n)).checkpoints).to.deep.equal([9_843n]);
    expect(await read({ blockMs: 200 }, 9_990n)).to.deep.equal({ count: 64n, checkpoints: [] });
  });
});
