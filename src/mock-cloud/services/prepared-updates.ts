import { alreadyRegistered } from "../../cloud/protocol.ts";
import type { ComposeHash } from "../../core/ids.ts";
import type { Clock } from "../clock.ts";
import { commitTokenInvalid, cvmNotFound } from "../errors.ts";
import type { Cvm } from "../store/cvms.ts";
import type { PendingUpdate } from "../store/pending-updates.ts";
import type { Store } from "../store/store.ts";
import { hashCommitToken } from "./account.ts";
import { isNamed } from "./find.ts";
import type { Confirmation } from "./onchain-policy.ts";
import { type Accepted, type ChangeContext, pendingLifetimeMs, type Updates } from "./updates.ts";

/** Commits a prepared update or CVM. */
export interface TokenCommit {
  readonly token: string;
  /** @default the hash that was prepared */
  readonly composeHash: ComposeHash | undefined;
  /** @default none: only the contract's state is checked */
  readonly transactionHash: Confirmation["transactionHash"] | undefined;
}

/** State of a prepared update. `outdated`: the CVM's document has changed since the update was prepared. */
export type PreparedState = "pending" | "committed" | "superseded" | "expired" | "outdated";

export interface PreparedUpdate {
  readonly cvm: Cvm;
  readonly pending: PendingUpdate;
  readonly state: PreparedState;
}

export interface PreparedUpdatesDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly updates: Updates;
}

/** Updates that another person registers on chain. The token is enough to read and commit one; no API key is needed. */
export class PreparedUpdates {
  readonly #dependencies: PreparedUpdatesDependencies;

  constructor(dependencies: PreparedUpdatesDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Finds the update of a token, in any state.
   *
   * @param identifier names the CVM; if the token is for another CVM, it is refused like an unknown token
   * @throws ApiError 466, or 404 when the CVM was deleted
   */
  find(identifier: string, token: string): PreparedUpdate {
    const { store, clock } = this.#dependencies;
    const pending = store.pendingUpdates.findToken(hashCommitToken(token));
    if (!pending) throw commitTokenInvalid("there is no such token.");
    const cvm = store.cvms.find(pending.cvmId);
    if (!cvm) throw cvmNotFound(identifier);
    if (!isNamed(store.cvms, cvm, identifier)) throw commitTokenInvalid("it is not for this CVM.");
    return { cvm, pending, state: preparedStateOf(pending, cvm, clock.now()) };
  }

  /** @throws ApiError 404, 409, 466, 467, 468, or 503 when the chain cannot be read */
  async commit(
    identifier: string,
    commit: TokenCommit,
    context: ChangeContext,
  ): Promise<Accepted & { readonly cvm: Cvm }> {
    const { cvm, pending, state } = this.find(identifier, commit.token);
    const problem = problems[state];
    if (problem !== undefined) throw commitTokenInvalid(problem);
    if (commit.composeHash !== undefined && commit.composeHash !== pending.composeHash) {
      throw commitTokenInvalid(`it is for compose hash ${pending.composeHash}.`);
    }
    const { transactionHash = alreadyRegistered } = commit;
    const accepted = await this.#dependencies.updates.confirmPrepared(cvm, pending, transactionHash, context);
    return { ...accepted, cvm };
  }
}

const problems: Readonly<Record<PreparedState, string | undefined>> = {
  pending: undefined,
  committed: "it was used before.",
  superseded: "a newer update of this CVM superseded it.",
  expired: "it has expired.",
  outdated: "the CVM's compose file has changed since.",
};

export function preparedStateOf(pending: PendingUpdate, cvm: Cvm, now: number): PreparedState {
  if (pending.state !== "live") return pending.state === "confirmed" ? "committed" : "superseded";
  if (now >= pending.expiresAt) return "expired";
  return pending.baseHash === cvm.composeHash ? "pending" : "outdated";
}

/** A document that waits for the registration of its hash and can still be confirmed or committed. */
export interface PendingDocument {
  /** `instance`: the document of a new CVM that was prepared from this one. */
  readonly kind: "update" | "instance";
  readonly composeHash: ComposeHash;
  readonly composeText: string;
  readonly hasCommitToken: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** Finds the document of this CVM that waits for this hash. The CVM's own update comes before prepared instances. */
export function findPendingDocument(
  store: Store,
  cvm: Cvm,
  composeHash: ComposeHash,
  now: number,
): PendingDocument | undefined {
  const update = store.pendingUpdates.find(cvm.id, composeHash);
  if (update && preparedStateOf(update, cvm, now) === "pending") {
    return { ...update, kind: "update", hasCommitToken: update.tokenHash !== null };
  }
  const instance = store.preparedInstances.newestFrom(cvm.id, composeHash);
  if (!instance || instance.cvmId !== null || now >= instance.expiresAt) return undefined;
  const createdAt = instance.expiresAt - pendingLifetimeMs;
  return { ...instance, kind: "instance", hasCommitToken: true, createdAt };
}
