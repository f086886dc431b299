import { z } from "zod";

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

/** A flag of a request. The CLI writes some as 1 and 0. */
export const flagSchema = z.union([z.boolean(), z.literal(1), z.literal(0)]);

/**
 * A number of vCPUs, megabytes or gigabytes that a client asks for. Python writes it as a float, such as `4.0`. The
 * bound is far above any machine; without one a request could name a size that no answer can state.
 */
export const sizeSchema = z
  .number()
  .int()
  .min(1)
  .max(2 ** 24);

/** The envelope of lists that come in pages. Pages count from 1. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    total: z.number().int(),
    page: z.number().int(),
    page_size: z.number().int(),
    pages: z.number().int(),
  });
}

/** Where every endpoint lives below the API's origin. */
export const apiBasePath = "/api/v1";

/** Request headers of the API. HTTP ignores their letter case; these are the spellings of the documents. */
export const headerNames = {
  apiKey: "X-API-Key",
  apiVersion: "X-Phala-Version",
  /** Phase 2: the compose hash that was registered. */
  composeHash: "X-Compose-Hash",
  /** Phase 2: the transaction that registered it, or `already-registered`. */
  transactionHash: "X-Transaction-Hash",
  prepareOnly: "X-Prepare-Only",
  /** Response header: what a support ticket should quote. */
  requestId: "X-Request-ID",
} as const;

/** Sent in place of a transaction hash to ask for a check of the contract's state alone. */
export const alreadyRegistered = "already-registered";
