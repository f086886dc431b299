/** Versions at which some answer changes its shape, oldest first. Dates, so they sort as text. */
export const apiVersions = ["2025-10-28", "2026-01-21", "2026-05-22", "2026-06-23"] as const;

export type ApiVersion = (typeof apiVersions)[number];

export const newestApiVersion: ApiVersion = "2026-06-23";

/**
 * The version whose shapes a request with this `X-Phala-Version` header gets: the newest one not younger than the
 * date asked for. A missing header and `latest` mean the newest; dates before the oldest version get the oldest.
 * `undefined` when the header is neither a date nor `latest`.
 */
export function resolveApiVersion(header: string | undefined): ApiVersion | undefined {
  if (header === undefined || header === "" || header.toLowerCase() === "latest") return newestApiVersion;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(header) || Number.isNaN(Date.parse(header))) return undefined;
  return apiVersions.findLast((version) => version <= header) ?? apiVersions[0];
}

export function isAtLeast(version: ApiVersion, minimum: ApiVersion): boolean {
  return version >= minimum;
}
