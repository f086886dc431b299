/** EIP-2929, EIP-3529 and the price of a log, in gas. */
const transaction = 21_000;
const coldAccount = 2_600;
const coldSlot = 2_100;
const clearedSlot = coldSlot + 2_900;
const refundPerSlot = 4_800;
const calldataOfHash = 32 * 16;
const log = (topics: number, bytes: number) => 375 + 375 * topics + 8 * bytes;
/** ComposeHashRemoved with its word, and PolicyChanged with three indexed arguments and a word. */
const events = log(1, 32) + log(4, 32);

/**
 * Least gas any way of removing so many hashes in one transaction could cost: it would consist of nothing but the
 * hashes, the cleared slots, the two events of each, and one look at the proxy's code and the owner. Refunds stop at
 * a fifth of what was used.
 */
export function leastGas(hashes: number): number {
  const fixed = transaction + coldSlot + coldAccount + coldSlot;
  const used = fixed + hashes * (calldataOfHash + clearedSlot + events);
  return used - Math.min(hashes * refundPerSlot, Math.floor(used / 5));
}
