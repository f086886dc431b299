import { z } from "zod";
import type { Ledger } from "../chain/transactions/ledger.ts";
import type { AppId, ComposeHash } from "../core/ids.ts";

/** That this project's operators have revoked a hash, and why. */
export interface Revocation {
  /** ISO 8601. */
  readonly at: string;
  /** As `--note` said it. */
  readonly note: string | null;
}

const topic = "revoked";
const revocationSchema = z.strictObject({ at: z.iso.datetime(), note: z.string().nullable() });

interface RevokedHash {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
}

/** Keeps in the ledger why a hash was revoked, because the chain only shows that it was removed. */
export function recordRevocation(ledger: Ledger, { appId, composeHash }: RevokedHash, revocation: Revocation): void {
  ledger.writeNote(topic, `${appId} ${composeHash}`, revocation);
}

/** Undefined if this ledger knows of none. */
export function findRevocation(ledger: Ledger, { appId, composeHash }: RevokedHash): Revocation | undefined {
  return revocationSchema.safeParse(ledger.readNotes(topic).get(`${appId} ${composeHash}`)).data;
}
