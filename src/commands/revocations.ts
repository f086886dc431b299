import { z } from "zod";
import { type ReadAllowlistReturnType, readAllowlist } from "../chain/read-app.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { type AppId, type ComposeHash, parseComposeHash } from "../core/ids.ts";
import { LintRefusedError } from "../errors/index.ts";
import { formatTime } from "../output/format.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import type { ConnectedApp } from "./connect-app.ts";
import type { TaskIo } from "./run.ts";

/** That this project's operators have revoked a hash, or planned to, and why. */
export interface Revocation {
  /** ISO 8601. */
  readonly at: string;
  /** As `--note` said it. */
  readonly note: string | null;
  /** `planned`: the removal was not seen on the chain yet. */
  readonly state: "planned" | "removed";
}

const topic = "revoked";
const revocationSchema = z.strictObject({
  at: z.iso.datetime(),
  note: z.string().nullable(),
  /** Earlier releases recorded every revocation when it was planned. */
  state: z.enum(["planned", "removed"]).default("planned"),
});

interface RevokedHash {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
}

/** Keeps in the ledger why a hash was revoked, because the chain only shows that it was removed. */
export function recordRevocation(ledger: Ledger, { appId, composeHash }: RevokedHash, revocation: Revocation): void {
  ledger.writeNote(topic, `${appId} ${composeHash}`, revocation);
}

/** What the ledger holds. Undefined if it knows of none. */
export function recordedRevocation(ledger: Ledger, { appId, composeHash }: RevokedHash): Revocation | undefined {
  return revocationSchema.safeParse(ledger.readNotes(topic).get(`${appId} ${composeHash}`)).data;
}

/** The hashes of an app that this project has revoked or planned to revoke. */
export function listRevokedHashes(ledger: Ledger, appId: AppId): ReadonlySet<string> {
  const keys = [...ledger.readNotes(topic).keys()].map((key) => key.split(" "));
  return new Set(
    keys.flatMap(([app, composeHash]) => (app === appId && composeHash !== undefined ? [composeHash] : [])),
  );
}

/**
 * The revocation of a hash. A planned one counts as made as soon as the contract no longer allows the hash.
 *
 * @param isAllowed whether the contract allows the hash now
 */
export function findRevocation(
  ledger: Ledger,
  hash: RevokedHash,
  isAllowed: ReadAllowlistReturnType["composeHashAllowed"],
): Revocation | undefined {
  const recorded = recordedRevocation(ledger, hash);
  return recorded?.state === "planned" && isAllowed === false ? { ...recorded, state: "removed" } : recorded;
}

/** "2026-12-01 07:00:00 UTC, according to this project's ledger: NOTE". */
export function describeRevocation({ at, note }: Revocation): string {
  return `${formatTime(at)} UTC, according to this project's ledger${note === null ? "" : `: ${note}`}`;
}

/** The revocations of a plan that was executed, which may be the plan of another project. */
export function recordRevocationsOf(ledger: Ledger, { appId, changes }: Pick<ChangePlan, "appId" | "changes">): void {
  if (appId === undefined) return;
  for (const { call, reason } of changes) {
    if (reason.rule !== "revoked" || call.functionName !== "removeComposeHash") continue;
    const hash = { appId, composeHash: parseComposeHash(String(call.args[0])) };
    const recorded = recordedRevocation(ledger, hash);
    if (recorded?.state === "removed") continue;
    const { at, note } = recorded ?? { at: new Date().toISOString(), note: reason.note ?? null };
    recordRevocation(ledger, hash, { at, note, state: "removed" });
  }
}

/**
 * Refuses to allow or to run a hash that this project has revoked, and warns of one that it plans to revoke.
 *
 * @throws LintRefusedError unless `revoked-hash` is accepted, RpcUnavailableError, LedgerError
 */
export async function requireNotRevoked(
  { output }: Pick<TaskIo, "output">,
  app: Pick<ConnectedApp, "appId" | "client" | "openLedger">,
  { hashes, accepted }: { readonly hashes: readonly ComposeHash[]; readonly accepted: ReadonlySet<string> },
): Promise<void> {
  const { appId, client } = app;
  using ledger = await app.openLedger({ isKept: false });
  for (const composeHash of hashes) {
    const hash = { appId, composeHash };
    if (recordedRevocation(ledger, hash) === undefined) continue;
    const { composeHashAllowed } = await readAllowlist(client, hash);
    const revocation = findRevocation(ledger, hash, composeHashAllowed);
    if (revocation === undefined) continue;
    if (revocation.state === "planned") {
      output.line(`Warning: a plan to revoke ${composeHash} was made ${describeRevocation(revocation)}.`);
      continue;
    }
    const message = `${composeHash} was revoked ${describeRevocation(revocation)}.`;
    const finding = { rule: "revoked-hash", message, advice: "Use another compose file: the code may be vulnerable." };
    if (!accepted.has(finding.rule)) throw new LintRefusedError([finding]);
    output.line(`Warning: ${message} (${finding.rule}, accepted)`);
  }
}
