import { z } from "zod";

/** Versions that changed the shape of an answer, oldest first. They are dates, so they sort as text. */
export const apiVersions = ["2025-10-28", "2026-01-21", "2026-05-22", "2026-06-23"] as const;

export type ApiVersion = (typeof apiVersions)[number];

export const newestApiVersion: ApiVersion = "2026-06-23";

/**
 * Returns the version for a request with this `X-Phala-Version` header: the newest one that is not later than the
 * requested date. A missing header and `latest` mean the newest version. Dates before the oldest version get the
 * oldest. Returns `undefined` if the header is neither a date nor `latest`.
 */
export function resolveApiVersion(header: string | undefined): ApiVersion | undefined {
  if (header === undefined || header === "" || header.toLowerCase() === "latest") return newestApiVersion;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(header) || Number.isNaN(Date.parse(header))) return undefined;
  return apiVersions.findLast((version) => version <= header) ?? apiVersions[0];
}

export function isAtLeast(version: ApiVersion, minimum: ApiVersion): boolean {
  return version >= minimum;
}

/** A flag of a request. The CLI writes some as 1 and 0. */
export const flagSchema = z.union([z.boolean(), z.literal(1), z.literal(0)]);

/**
 * A requested number of vCPUs, megabytes or gigabytes. Python sends it as a float, such as `4.0`. The limit is far
 * above any machine. Without it, a request could contain a size that no answer can represent.
 */
export const sizeSchema = z
  .number()
  .int()
  .min(1)
  .max(2 ** 24);

/** Schema of a list in pages. Pages count from 1. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    total: z.number().int(),
    page: z.number().int(),
    page_size: z.number().int(),
    pages: z.number().int(),
  });
}

/** Base path of every endpoint below the API's origin. */
export const apiBasePath = "/api/v1";

/** Request headers of the API, spelled as in its documentation. HTTP ignores their letter case. */
export const headerNames = {
  apiKey: "X-API-Key",
  apiVersion: "X-Phala-Version",
  /** Phase 2: the compose hash that was registered. */
  composeHash: "X-Compose-Hash",
  /** Phase 2: the transaction that registered it, or `already-registered`. */
  transactionHash: "X-Transaction-Hash",
  prepareOnly: "X-Prepare-Only",
  /** Response header: the id to quote in a support ticket. */
  requestId: "X-Request-ID",
} as const;

/** Sent instead of a transaction hash. It asks the cloud to check only the contract's state. */
export const alreadyRegistered = "already-registered";
