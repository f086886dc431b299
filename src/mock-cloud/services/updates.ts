import { randomUUID } from "node:crypto";
import { alreadyRegistered, statusCodes } from "../../cloud/protocol.ts";
import type { ComposeHash } from "../../core/ids.ts";
import type { Clock } from "../clock.ts";
import { ApiError, cvmNotFound, hashInvalidOrExpired, restartNeeded } from "../errors.ts";
import type { EventListener, UpdateProposed } from "../events.ts";
import type { Rollover } from "../rollover/rollover.ts";
import type { Cvm, Workload } from "../store/cvms.ts";
import type { AwaitedTag, Operation } from "../store/operations.ts";
import type { PendingUpdate } from "../store/pending-updates.ts";
import type { Store } from "../store/store.ts";
import { createCommitToken } from "./account.ts";
import { type Fleet, refuseSmallerDisk } from "./fleet.ts";
import type { KmsRuntime } from "./kms.ts";
import type { Confirmation, RegistrationVerifier } from "./onchain-policy.ts";
import { isSameAllowedEnvs, planUpdate, resolveSettings, type UpdateChange } from "./plan-update.ts";

/** How long a proposed update waits for the registration of its hash. */
export const pendingLifetimeMs = 14 * 24 * 60 * 60 * 1000;

export type UpdateOutcome = { readonly kind: "no-change" } | Accepted | PendingRegistration;

export interface PendingRegistration {
  readonly kind: "registration-required";
  readonly composeHash: ComposeHash;
  /** Token that commits a prepared update, once. Only its hash is stored, so the token cannot be read again. */
  readonly commitToken: string | undefined;
}

export interface Accepted {
  readonly kind: "accepted";
  readonly correlationId: string;
  /** The update begins when this tag reaches its registration. */
  readonly awaitedTag: AwaitedTag | null;
  /** Parses both documents, so only the endpoint that answers it asks. */
  isAllowedEnvsChanged(): boolean;
}

export type Redeployment =
  | { readonly kind: "accepted"; readonly operations: readonly { readonly cvm: Cvm; readonly operation: Operation }[] }
  | { readonly kind: "registration-required"; readonly cvm: Cvm; readonly composeHash: ComposeHash };

export interface Submission {
  /** Undefined when the request contains no change, as in a plain confirmation. */
  readonly change: UpdateChange | undefined;
  readonly confirmation: Confirmation | undefined;
  /** Whether to answer with a commit token if a hash has to be registered first. */
  readonly isPrepareOnly: boolean;
}

/** What every request for a change has. */
export interface ChangeContext {
  /** Id of the operation, if one starts. */
  readonly correlationId: string;
  /** Whether the change may replace an update that waits for the finality of its registration. */
  readonly mayReplace: boolean;
}

export interface UpdatesDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly emit: EventListener;
  readonly rollover: Rollover;
  readonly fleet: Fleet;
  readonly verifier: RegistrationVerifier;
  readonly kmsRuntime: KmsRuntime;
}

/** Changes CVMs: at once, or in two phases when the owner must register the hash of a new document first. */
export class Updates {
  readonly #dependencies: UpdatesDependencies;

  constructor(dependencies: UpdatesDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Runs phase 2 if the request has a confirmation, phase 1 otherwise.
   *
   * @throws the errors of `propose` and `confirm`
   */
  async submit(cvm: Cvm, submission: Submission, context: ChangeContext): Promise<UpdateOutcome> {
    const { change, confirmation, isPrepareOnly } = submission;
    if (confirmation) return this.confirm(cvm, confirmation, change, context);
    return this.propose(cvm, change ?? {}, context, isPrepareOnly);
  }

  /**
   * Phase 1. If the document does not change, or the KMS is off chain, the change is accepted at once.
   *
   * @throws ApiError 409 while another operation runs, 400 when the node has no room; the errors of planUpdate
   */
  propose(cvm: Cvm, wanted: UpdateChange, context: ChangeContext, isPrepareOnly = false): UpdateOutcome {
    const { rollover } = this.#dependencies;
    const change = this.#resolve(cvm, wanted);
    const { workload, isComposeChanged, isNoChange } = planUpdate(cvm, change);
    rollover.requireIdle(cvm, context.mayReplace);
    this.#dependencies.fleet.requireRoomToGrow(cvm, workload.settings);
    if (change.isRestartAllowed === false && !isNoChange && cvm.status !== "stopped") throw restartNeeded(cvm.name);
    if (isNoChange) {
      this.#emitProposed(cvm, workload, "no-change");
      return { kind: "no-change" };
    }
    if (isComposeChanged && this.#isOnChain(cvm)) {
      const { composeHash } = workload;
      const { token, tokenHash } = isPrepareOnly ? createCommitToken() : {};
      const { store, emit } = this.#dependencies;
      store.transaction(() => {
        const expiresAt = this.#keep(cvm, workload, change, context, tokenHash);
        this.#emitProposed(cvm, workload, "registration-required");
        if (isPrepareOnly) emit({ type: "update.prepared", cvmId: cvm.hashid, composeHash, expiresAt });
      });
      return { kind: "registration-required", composeHash, commitToken: token };
    }
    this.#emitProposed(cvm, workload, "accepted");
    const { correlationId } = context;
    const operation = rollover.record(cvm.id, { kind: "update", workload, correlationId, transactionHash: null });
    rollover.start(operation);
    return accepted(cvm, operation);
  }

  /**
   * Computes and stores a new document, for any KMS, but does not apply it. `commit` applies it.
   *
   * @throws ApiError 409; the errors of planUpdate
   */
  provision(cvm: Cvm, change: UpdateChange, context: ChangeContext): ComposeHash {
    const { workload } = planUpdate(cvm, change);
    this.#dependencies.rollover.requireIdle(cvm, context.mayReplace);
    this.#keep(cvm, workload, change, context);
    return workload.composeHash;
  }

  /**
   * Applies a provisioned document, if the contract's state allows its hash.
   *
   * @param encryptedEnv replaces the environment that was given to `provision`
   * @throws ApiError 409, 466, 468, 503
   */
  async commit(
    cvm: Cvm,
    composeHash: ComposeHash,
    encryptedEnv: string | undefined,
    context: ChangeContext,
  ): Promise<Accepted> {
    const confirmation = { composeHash, transactionHash: alreadyRegistered } as const;
    return this.#confirm(cvm, confirmation, context, (now, pending) =>
      applyPending(now, { ...pending, encryptedEnv: encryptedEnv ?? pending.encryptedEnv }),
    );
  }

  /**
   * Phase 2. If the client sends the same confirmation again, it gets the operation that the first one started.
   *
   * @param resent the change, if the client sends it again; it must give the same hash
   * @throws ApiError 409, 466, 467, 468, or 503 when the chain cannot be read
   */
  async confirm(
    cvm: Cvm,
    confirmation: Confirmation,
    resent: UpdateChange | undefined,
    context: ChangeContext,
  ): Promise<Accepted> {
    return this.#confirm(cvm, confirmation, context, (now, pending) =>
      resent === undefined ? applyPending(now, pending) : applyResent(now, pending, this.#resolve(now, resent)),
    );
  }

  /**
   * Confirms exactly this pending update, once. A second call is refused, even if it is the same.
   *
   * @throws ApiError 409, 466, 467, 468, 503
   */
  async confirmPrepared(
    cvm: Cvm,
    pending: PendingUpdate,
    transactionHash: Confirmation["transactionHash"],
    context: ChangeContext,
  ): Promise<Accepted> {
    const { composeHash } = pending;
    return this.#confirm(cvm, { composeHash, transactionHash }, context, applyPending, pending.id);
  }

  /**
   * Sets a flag that the guest does not see, so nothing restarts.
   *
   * @throws ApiError 409 during a rollover, because that sets all settings at its end
   */
  list(cvm: Cvm, listed: boolean): Cvm {
    const { store, clock, rollover } = this.#dependencies;
    rollover.requireIdle(cvm, true);
    store.transaction(() => {
      store.cvms.setListed(cvm.id, listed, clock.now());
      const waiting = store.operations.runningOf(cvm.id);
      if (waiting) store.operations.setListed(waiting.id, listed);
    });
    return store.cvms.get(cvm.id);
  }

  /**
   * Makes CVMs of one app run a document that a CVM of the app was asked to run before: all of them, or none.
   *
   * @throws ApiError 409, 466, 467, 468, 503
   */
  async redeploy(
    cvms: readonly Cvm[],
    document: Pick<Workload, "composeHash" | "composeText">,
    confirmation: Confirmation | undefined,
    mayReplace: boolean,
  ): Promise<Redeployment> {
    const { store, rollover } = this.#dependencies;
    const { composeHash, composeText } = document;
    if (confirmation !== undefined && confirmation.composeHash !== composeHash) {
      throw hashInvalidOrExpired(`The revision has compose hash ${composeHash}, not ${confirmation.composeHash}.`);
    }
    const ids = [...new Set(cvms.map(({ id }) => id))];
    const findChanged = () => {
      const current = ids.flatMap((id) => store.cvms.find(id) ?? []);
      for (const cvm of current) rollover.requireIdle(cvm, mayReplace);
      return current.filter((cvm) => cvm.composeHash !== composeHash);
    };
    const [first] = findChanged();
    if (first === undefined) return { kind: "accepted", operations: [] };
    const proof = { composeHash, transactionHash: confirmation?.transactionHash ?? alreadyRegistered };
    try {
      await this.#verify(first, proof);
    } catch (error) {
      const isUnregistered = error instanceof ApiError && error.status === statusCodes.hashNotAllowed;
      if (!isUnregistered || confirmation) throw error;
      return { kind: "registration-required", cvm: first, composeHash };
    }
    // Verification takes time, so other updates may have arrived meanwhile.
    const operations = store.transaction(() =>
      findChanged().map((cvm) => {
        const { encryptedEnv, settings } = cvm;
        const workload = { composeText, composeHash, encryptedEnv, settings };
        const transactionHash = this.#isOnChain(cvm) ? proof.transactionHash : null;
        const awaitedTag = this.#awaitedTag(cvm, composeHash);
        const request = { kind: "update", workload, correlationId: randomUUID(), transactionHash, awaitedTag } as const;
        return { cvm, operation: rollover.record(cvm.id, request) };
      }),
    );
    for (const { operation } of operations) rollover.start(operation);
    return { kind: "accepted", operations };
  }

  async #confirm(
    cvm: Cvm,
    confirmation: Confirmation,
    { correlationId, mayReplace }: ChangeContext,
    decide: (cvm: Cvm, pending: PendingUpdate) => Workload,
    pendingId?: number,
  ): Promise<Accepted> {
    const { store, rollover } = this.#dependencies;
    const { composeHash, transactionHash } = confirmation;
    const prepare = () => {
      const current = store.cvms.find(cvm.id);
      if (!current) throw cvmNotFound(cvm.hashid);
      const newest = store.pendingUpdates.find(current.id, composeHash);
      const earlier = pendingId === undefined ? this.#findEarlier(current, confirmation, newest) : undefined;
      if (earlier) return { earlier };
      rollover.requireIdle(current, mayReplace || newest?.mayReplace === true);
      const pending = this.#requireLive(current, composeHash, newest, pendingId);
      return { pending, workload: decide(current, pending) };
    };

    const first = prepare();
    if (first.earlier) return accepted(cvm, first.earlier);
    if (composeHash !== cvm.composeHash) await this.#verify(cvm, confirmation);

    // Verification takes time: the same confirmation or another update may have arrived meanwhile, so check again.
    const second = prepare();
    if (second.earlier) return accepted(cvm, second.earlier);
    const { pending, workload } = second;
    const awaitedTag = this.#awaitedTag(cvm, composeHash);
    const operation = store.transaction(() => {
      store.pendingUpdates.confirm(pending.id, correlationId);
      return rollover.record(cvm.id, { kind: "update", workload, correlationId, transactionHash, awaitedTag });
    });
    rollover.start(operation);
    return accepted(cvm, operation);
  }

  #resolve(cvm: Cvm, wanted: UpdateChange): UpdateChange {
    if (wanted.settings === undefined) return wanted;
    return { ...wanted, settings: resolveSettings(this.#dependencies.store.platform, cvm, wanted.settings) };
  }

  #isOnChain(cvm: Cvm): boolean {
    return this.#dependencies.store.platform.findKms(cvm.kmsId)?.chainId !== null;
  }

  /** The tag that must reach the registration of a document's hash first. Null if the document needs none. */
  #awaitedTag(cvm: Cvm, composeHash: ComposeHash): AwaitedTag | null {
    if (composeHash === cvm.composeHash || !this.#isOnChain(cvm)) return null;
    return this.#dependencies.kmsRuntime.awaitedTag(cvm.kmsId);
  }

  /** @returns the expiry time */
  #keep(
    cvm: Cvm,
    { composeHash, composeText }: Workload,
    change: UpdateChange,
    { mayReplace }: ChangeContext,
    tokenHash?: string,
  ): number {
    const { store, clock } = this.#dependencies;
    const now = clock.now();
    const expiresAt = now + pendingLifetimeMs;
    store.pendingUpdates.replace({
      cvmId: cvm.id,
      baseHash: cvm.composeHash,
      composeHash,
      composeText,
      encryptedEnv: change.encryptedEnv ?? null,
      settingsChange: change.settings ?? {},
      mayReplace,
      tokenHash: tokenHash ?? null,
      createdAt: now,
      expiresAt,
    });
    return expiresAt;
  }

  /**
   * @param pending the newest one with this hash
   * @param pendingId if given, only the pending update with this id is accepted
   */
  #requireLive(
    cvm: Cvm,
    composeHash: ComposeHash,
    pending: PendingUpdate | undefined,
    pendingId: number | undefined,
  ): PendingUpdate {
    const { clock } = this.#dependencies;
    if (pendingId !== undefined && pending?.id !== pendingId) {
      throw hashInvalidOrExpired(`The update to compose hash ${composeHash} was superseded by a newer one.`);
    }
    if (!pending) throw hashInvalidOrExpired(`No update of this CVM to compose hash ${composeHash} was started.`);
    if (pending.state !== "live") {
      const ending = pending.state === "superseded" ? "superseded by a newer one" : "confirmed before";
      throw hashInvalidOrExpired(`The update to compose hash ${composeHash} was ${ending}.`);
    }
    if (clock.now() >= pending.expiresAt) {
      throw hashInvalidOrExpired(`The update to compose hash ${composeHash} has expired.`);
    }
    if (pending.baseHash !== cvm.composeHash) {
      throw hashInvalidOrExpired(`The CVM's compose file changed after the update to ${composeHash} was started.`);
    }
    return pending;
  }

  async #verify(cvm: Cvm, confirmation: Confirmation): Promise<void> {
    const { emit, verifier } = this.#dependencies;
    const subject = { type: "registration.judged", cvmId: cvm.hashid, ...confirmation } as const;
    try {
      await verifier.verify(cvm, confirmation);
      emit({ ...subject, status: 202, message: "The registration is verified." });
    } catch (error) {
      if (error instanceof ApiError) emit({ ...subject, status: error.status, message: error.message });
      throw error;
    }
  }

  /**
   * Finds the operation that this confirmation started before. A failed one, or one from before a new proposal, is
   * ignored.
   */
  #findEarlier(
    cvm: Cvm,
    { composeHash, transactionHash }: Confirmation,
    pending: PendingUpdate | undefined,
  ): Operation | undefined {
    const { operations } = this.#dependencies.store;
    const isConfirmed = pending?.state === "confirmed";
    const operation = isConfirmed ? operations.provenBy(cvm.id, composeHash, transactionHash) : undefined;
    return operation?.state === "failed" ? undefined : operation;
  }

  #emitProposed(cvm: Cvm, { composeHash }: Workload, outcome: UpdateProposed["outcome"]): void {
    this.#dependencies.emit({ type: "update.proposed", cvmId: cvm.hashid, composeHash, outcome });
  }
}

function accepted(cvm: Cvm, operation: Operation): Accepted {
  return {
    kind: "accepted",
    correlationId: operation.correlationId,
    awaitedTag: operation.awaitedTag,
    isAllowedEnvsChanged: () => !isSameAllowedEnvs(cvm.composeText, operation.composeText),
  };
}

/** @throws ApiError 400 when the disk has grown since the update was proposed, so that it would shrink now */
function applyPending(cvm: Cvm, pending: PendingUpdate): Workload {
  const settings = { ...cvm.settings, ...pending.settingsChange };
  refuseSmallerDisk(cvm.name, cvm.settings, settings);
  return {
    composeText: pending.composeText,
    composeHash: pending.composeHash,
    encryptedEnv: pending.encryptedEnv ?? cvm.encryptedEnv,
    settings,
  };
}

/** A confirmation may contain a new environment and new settings. The document must not differ. */
function applyResent(cvm: Cvm, pending: PendingUpdate, resent: UpdateChange): Workload {
  const { composeHash } = planUpdate(cvm, resent).workload;
  if (composeHash !== pending.composeHash) {
    throw hashInvalidOrExpired(
      `The content sent now has compose hash ${composeHash}, not ${pending.composeHash} as confirmed.`,
    );
  }
  return applyPending(cvm, {
    ...pending,
    encryptedEnv: resent.encryptedEnv ?? pending.encryptedEnv,
    settingsChange: { ...pending.settingsChange, ...resent.settings },
  });
}
