import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";

/** Milliseconds since the CVM last booted; undefined while it is not running. */
export function uptimeOf(store: Store, cvm: Cvm, now: number): number | undefined {
  if (cvm.status !== "running") return undefined;
  return Math.max(0, now - (store.operations.lastFinishedAt(cvm.id) ?? now));
}

/** Such as `2d 3h 4m 5s`, without the units that are still zero. */
export function formatUptime(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
  ] as const;
  const from = parts.findIndex(([count]) => count > 0);
  const shown = from < 0 ? [] : parts.slice(from).map(([count, unit]) => `${count}${unit}`);
  return [...shown, `${seconds % 60}s`].join(" ");
}
