import { formatEther } from "viem";

export function formatGas(gas: bigint): string {
  return `${gas.toLocaleString("en-US")} gas`;
}

/** Fees on an L2 are tiny: below a millionth of an ETH they are given in gwei. */
export function formatFee(wei: bigint): string {
  if (wei === 0n) return "0 ETH";
  return wei < 10n ** 12n ? `${trimmed(Number(wei) / 1e9)} gwei` : `${trimmed(Number(formatEther(wei)))} ETH`;
}

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000
    ? `${(ms / 1000).toFixed(1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** First and last digits of a hash, for tables; never where a reader must copy the value. */
export function shortHash(hash: string): string {
  return hash.length <= 20 ? hash : `${hash.slice(0, 10)}…${hash.slice(-6)}`;
}

function trimmed(value: number): string {
  return value.toPrecision(3).replace(/\.?0+$/, "");
}
