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
