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
 * Lower bound for the gas of removing this many hashes in one transaction: only the hashes, the cleared slots, the two
 * events of each hash, and one read of the proxy's code and the owner. Refunds are capped at a fifth of the used gas.
 */
export function leastGas(hashes: number): number {
  const fixed = transaction + coldSlot + coldAccount + coldSlot;
  const used = fixed + hashes * (calldataOfHash + clearedSlot + events);
  return used - Math.min(hashes * refundPerSlot, Math.floor(used / 5));
}
