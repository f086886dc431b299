import { changeAppCompose } from "../core/app-compose.ts";
import { computeComposeHash } from "../core/compose-hash.ts";
import { describeDifference } from "../core/document-difference.ts";
import { requireNoKeyEpochs } from "../core/generation.ts";
import { explainHashMismatch } from "../core/hash-mismatch.ts";
import { type ComposeHash, nameOfCvm, type TransactionHash } from "../core/ids.ts";
import {
  ApprovedHashChangedError,
  HashExpiredError,
  type MissingRegistration,
  RegistrationMissingError,
  RolloverFailedError,
  UpdateOvertakenError,
} from "../errors/index.ts";
import { connectUpdate, type UpdateCvmParameters } from "./connect.ts";
import type { RegistrationProof } from "./ports.ts";
import type { PreparedUpdate } from "./prepare-update.ts";
import type { UpdateRecord } from "./progress.ts";
import { describeResult, type UpdateResult, type UpdateRun, type UpdateTarget, withStep } from "./run.ts";
import { submitUntilAccepted } from "./steps/confirm.ts";
import { prepare } from "./steps/document.ts";
import { advance, concludeEarlierRun, openUpdate } from "./steps/earlier-run.ts";
import { followRollover } from "./steps/follow-rollover.ts";
import { readCvm } from "./steps/read-cvm.ts";

type Inherited = "cloud" | "chain" | "ledger" | "kms" | "acceptKeyEpochs" | "timeouts" | "onStep" | "signal";

export interface CommitUpdateParameters
  extends Pick<UpdateCvmParameters, Inherited | "waitForRollover" | "pollCloudMs" | "pollChainMs"> {
  readonly update: PreparedUpdate;
  /**
   * Finds the transaction by which the app allowed the hash. If it returns undefined, the cloud is asked to check only
   * that the contract allows the hash now. It is called again if the cloud cannot verify the transaction.
   *
   * @default none: only the contract's state counts
   */
  readonly findTransaction?: ((composeHash: ComposeHash) => Promise<TransactionHash | undefined>) | undefined;
}

/**
 * Finishes a prepared update after the app's owners have allowed its hash and device: commits it to the cloud and
 * follows the CVM until it runs the new document. If the token has expired or was superseded, prepares the same change
 * again, and commits it only if its hash is the one that the owners allowed. If it is interrupted, call it again.
 *
 * @throws RegistrationMissingError if the app does not allow the hash or the device
 * @throws UpdateOvertakenError if the CVM runs another document than the one that the update started from
 * @throws ApprovedHashChangedError, RolloverFailedError, RolloverTimeoutError, KeyEpochsError and other DstackErrors
 *
 * @example
 * import { commitUpdate, openLedger } from "dstack-toolkit/update";
 * import { client, cloud, preparedUpdate } from "./app.js";
 * using ledger = openLedger("ledger.sqlite");
 * const { outcome } = await commitUpdate({ cloud, chain: client, ledger, update: preparedUpdate });
 */
export function commitUpdate({
  update,
  findTransaction,
  ...parameters
}: CommitUpdateParameters): Promise<UpdateResult> {
  const { cvm, appId } = update;
  return runCommit(connectUpdate({ ...parameters, cvm, appId }), update, findTransaction);
}

/** `commitUpdate` over ports. */
export async function runCommit(
  run: UpdateRun,
  update: PreparedUpdate,
  findTransaction: CommitUpdateParameters["findTransaction"],
): Promise<UpdateResult> {
  const { composeHash, previousComposeHash, environment } = update;
  const target = await readCvm(run);
  const ended = await endEarlierCommit(run, target, update);
  if (ended !== undefined) return ended;
  if (target.composeHash !== previousComposeHash && target.composeHash !== composeHash)
    throw await overtaken(run, target, update);
  let transactionHash = await findRegistration(run, target, update, findTransaction);
  const { record, isReopened } = openUpdate(run, target, { composeHash, environment });
  const submission = createSubmit(run, target, update);
  const confirmed = await submitUntilAccepted(run, target, {
    ...{ answer: update, record },
    submit: () => submission.submit(transactionHash),
    lookAgain: async () => {
      transactionHash = await findRegistration(run, target, update, findTransaction);
    },
  });
  const { waitForRollover } = run.settings;
  const after = waitForRollover ? await followRollover(run, target, { record: confirmed }) : undefined;
  if (waitForRollover) advance(run, confirmed, { status: "completed" });
  return describe(run, target, update, {
    outcome: waitForRollover ? outcomeOf(update) : "confirmed",
    ...{ isResumed: isReopened, correlationId: confirmed.correlationId, status: after?.status },
    ...{ registration: transactionHash, isPreparedAgain: submission.isPreparedAgain() },
  });
}

function outcomeOf({ composeHash, previousComposeHash }: PreparedUpdate): UpdateResult["outcome"] {
  return composeHash === previousComposeHash ? "environmentReplaced" : "updated";
}

/** The result if an earlier commit has reached its end, or if the CVM runs the document already. */
async function endEarlierCommit(
  run: UpdateRun,
  target: UpdateTarget,
  update: PreparedUpdate,
): Promise<UpdateResult | undefined> {
  const { composeHash, previousComposeHash, environment } = update;
  const isOurs = (record: UpdateRecord | undefined) =>
    record?.composeHash === composeHash && record.environment === environment;
  const before = run.progress.read(target);
  const earlier = await concludeEarlierRun(run, target);
  if (isOurs(earlier?.record) && earlier?.bootError !== undefined)
    throw new RolloverFailedError(target.name, earlier.bootError, earlier.record.correlationId ?? undefined);
  // No reader of the chain or the cloud can tell which environment a CVM has.
  const isInForce =
    target.composeHash === composeHash &&
    composeHash !== previousComposeHash &&
    (environment === null || isOurs(before));
  if (!isInForce && !isOurs(earlier?.record)) return undefined;
  const correlationId = isOurs(before) ? before?.correlationId : undefined;
  return describe(run, target, update, { outcome: outcomeOf(update), isResumed: true, correlationId });
}

function describe(
  run: UpdateRun,
  target: UpdateTarget,
  { composeHash, previousComposeHash }: PreparedUpdate,
  ended: Pick<UpdateResult, "outcome" | "isResumed"> &
    Partial<Pick<UpdateResult, "status" | "registration" | "isPreparedAgain">> & {
      readonly correlationId: string | null | undefined;
    },
): UpdateResult {
  const correlationId = ended.correlationId ?? undefined;
  return describeResult(run, { ...ended, target, composeHash, previousComposeHash, correlationId });
}

/** Checks that the app allows what the update needs, and finds the transaction. @throws RegistrationMissingError */
function findRegistration(
  run: UpdateRun,
  target: UpdateTarget,
  { appId, composeHash, deviceId }: PreparedUpdate,
  findTransaction: CommitUpdateParameters["findTransaction"],
): Promise<RegistrationProof> {
  return withStep(
    run,
    "findTransaction",
    async () => {
      const kms = run.request.kms ?? target.kmsContractAddress;
      const allowlist = await run.chain.readAllowlist({ appId, composeHash, deviceId, kms });
      requireNoKeyEpochs(allowlist.contracts, run.request.acceptKeyEpochs === true);
      const cvms = [nameOfCvm(target)];
      const missing: MissingRegistration[] = [
        ...(allowlist.deviceAllowed || deviceId === undefined
          ? []
          : [{ functionName: "addDevice", value: deviceId, cvms } as const]),
        ...(allowlist.composeHashAllowed
          ? []
          : [{ functionName: "addComposeHash", value: composeHash, cvms } as const]),
      ];
      if (missing.length > 0) throw new RegistrationMissingError(appId, missing);
      return (await findTransaction?.(composeHash)) ?? "already-registered";
    },
    (transactionHash) => ({ composeHash, transactionHash }),
  );
}

/** Commits with the token, and prepares the same change again where the token is not valid. */
function createSubmit(run: UpdateRun, target: UpdateTarget, update: PreparedUpdate) {
  const { composeHash } = update;
  let { token } = update;
  let isPreparedAgain = false;
  const submit = async (transactionHash: RegistrationProof): Promise<string> => {
    const commit = async (token: string) => {
      const { correlationId } = await run.cloud.commit(run.request.cvm, { token, composeHash, transactionHash });
      return correlationId;
    };
    if (token !== undefined) {
      try {
        return await commit(token);
      } catch (error) {
        if (!(error instanceof HashExpiredError)) throw error;
        isPreparedAgain = true;
        run.emitter.emit({ kind: "preparingAgain", step: "confirm" });
      }
    }
    const again = await prepare(run, target, update.draft);
    if (again.kind === "accepted") return again.correlationId;
    if (again.composeHash !== composeHash) throw await changed(run, target, update, again.composeHash);
    token = again.token;
    return commit(token);
  };
  return { submit, isPreparedAgain: () => isPreparedAgain };
}

async function changed(
  run: UpdateRun,
  target: UpdateTarget,
  { draft, document, composeHash: approved }: PreparedUpdate,
  fromCloud: ComposeHash,
): Promise<ApprovedHashChangedError> {
  const current = await run.cloud.readAppCompose(run.request.cvm);
  const requested = changeAppCompose(current, draft);
  const isSame = computeComposeHash(requested) === computeComposeHash(document);
  const difference = isSame
    ? [explainHashMismatch({ requested, current, cvmName: target.name, fromCloud })]
    : describeDifference(document, requested);
  return new ApprovedHashChangedError({ cvm: nameOfCvm(target), approved, fromCloud, difference });
}

async function overtaken(
  run: UpdateRun,
  target: UpdateTarget,
  { document, previousComposeHash: previous, composeHash: planned }: PreparedUpdate,
): Promise<UpdateOvertakenError> {
  const difference = describeDifference(await run.cloud.readAppCompose(run.request.cvm), document);
  return new UpdateOvertakenError({
    ...{ cvm: nameOfCvm(target), running: target.composeHash },
    ...{ previous, planned, difference },
  });
}
