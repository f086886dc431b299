/**
 * Sorts keys as the official JavaScript SDKs do: by assigning them one after another to a fresh object. So array indices
 * come first, `__proto__` vanishes, and an object with a key named `constructor` is not recognised and stays unsorted.
 */
export function sortAsSdk(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortAsSdk);
  if (typeof value !== "object" || value === null || value.constructor !== Object) return value;
  const sorted: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value).sort(byKey)) sorted[key] = sortAsSdk(member);
  return sorted;
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
