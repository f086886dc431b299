import { expect } from "chai";
import { getBlockNumber } from "viem/actions";
import type { Lane } from "./lane.ts";

/** Runs the work, and checks that nothing changed meanwhile: no block, no CVM and no operation. */
export async function expectNothingChanged(lane: Lane, work: () => Promise<unknown>): Promise<void> {
  const before = await observe(lane);
  await work();
  expect(await observe(lane), "chain and backend").to.deep.equal(before);
}

/** Runs work that moves the clocks of chain and backend and sets faults, and restores the state after it. */
export async function withOwnClock(lane: Lane, work: () => Promise<void>): Promise<void> {
  const { world } = lane;
  await world.cloud.whenIdle();
  const before = await world.snapshot();
  try {
    await work();
    await world.cloud.whenIdle();
  } finally {
    world.cloud.clearFaults();
    await world.restore(before);
  }
}

/** The world mines one block for each transaction, and no others. */
async function observe({ world }: Lane) {
  await world.cloud.whenIdle();
  const { text } = await world.cloudClient.request({ method: "GET", path: "/cvms/paginated?page=1&page_size=100" });
  const { items, total }: { items: { id: string; name: string; status: string }[]; total: number } = JSON.parse(text);
  return {
    blockNumber: await getBlockNumber(world.ownerClient, { cacheTime: 0 }),
    total,
    cvms: items.map(({ id, name, status }) => ({ id, name, status, history: world.cloud.readHistory(id) })),
  };
}
