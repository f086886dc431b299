import { createHash, randomUUID } from "node:crypto";

/** A token for whoever may commit a prepared update. Only its hash is kept: who reads the store cannot commit. */
export function createCommitToken(): { readonly token: string; readonly tokenHash: string } {
  const token = randomUUID();
  return { token, tokenHash: hashCommitToken(token) };
}

/** 122 random bits need no slow hash. */
export function hashCommitToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
