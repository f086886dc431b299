/** The wire format of the cloud's API, shared by our client and the mock cloud. Field names stay as they travel. */
export * from "./protocol/api-version.ts";
export * from "./protocol/auth.ts";
export * from "./protocol/compose-file.ts";
export * from "./protocol/cvm.ts";
export * from "./protocol/error-body.ts";
export * from "./protocol/error-codes.ts";
export * from "./protocol/headers.ts";
export * from "./protocol/kms.ts";
export * from "./protocol/provision.ts";
export * from "./protocol/update.ts";
