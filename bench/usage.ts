import { readUsage } from "./usage.mjs";

/** What a client's process spends on one task. */
export interface Usage {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly requests: number;
}

/** Of this process. */
export async function usageOf(task: () => Promise<unknown>): Promise<Usage> {
  const before = readUsage();
  const start = performance.now();
  await task();
  const wallMs = performance.now() - start;
  const { cpuMs, requests } = readUsage();
  return { wallMs, cpuMs: cpuMs - before.cpuMs, requests: requests - before.requests };
}

/** The median of each figure separately. */
export function medianOf(usages: readonly Usage[]): Usage {
  const of = (field: keyof Usage) => {
    const sorted = usages.map((usage) => usage[field]).toSorted((one, other) => one - other);
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  };
  return { wallMs: of("wallMs"), cpuMs: of("cpuMs"), requests: of("requests") };
}
