import { memoryLedger } from "../chain/transactions/ledger.ts";
import type { AppCompose } from "../core/app-compose.ts";
import type { AppId, ComposeHash, DeviceId } from "../core/ids.ts";
import { CloudProtocolError, InvalidArgumentError } from "../errors/index.ts";
import { connectUpdate } from "./connect.ts";
import type { PlanUpdateParameters } from "./plan-update.ts";
import type { PaymentIntent, UpdateDraft } from "./ports.ts";
import { describeWarnings, type RunFindings, type UpdateResult, type UpdateRun, type UpdateTarget } from "./run.ts";
import {
  buildDocument,
  checkHash,
  doubtsAbout,
  draftOf,
  encryptEnvironment,
  fingerprintEnvironment,
  prepare,
  proveDocument,
  type RequestedDocument,
} from "./steps/document.ts";
import { planSignatures } from "./steps/payments.ts";
import { readCvm } from "./steps/read-cvm.ts";
import { checkRequest } from "./trust.ts";

/** An update that waits for the app's owners. `commitUpdate` finishes it. It holds secrets: see `savePreparedUpdates`. */
export interface PreparedUpdate {
  /** The CVM's id. */
  readonly cvm: string;
  readonly name: string;
  readonly appId: AppId;
  readonly chainId: number;
  /** The document that the update starts from. */
  readonly previousComposeHash: ComposeHash;
  /** The document that it asks for. The same as before if only the environment changes. */
  readonly composeHash: ComposeHash;
  readonly deviceId: DeviceId | undefined;
  /** Authorises the commit. Undefined if no hash has to be allowed: the cloud then applies the change at once. */
  readonly token: string | undefined;
  /** Until when the token is valid, as ISO 8601. Undefined if the cloud does not say. */
  readonly expiresAt: string | undefined;
  /** What the cloud was asked for, to ask again if the token is no longer valid. */
  readonly draft: UpdateDraft;
  readonly document: AppCompose;
  /** Keyed digest of the environment's values. Null if they stay. */
  readonly environment: string | null;
}

/** What was prepared, and what the owners must sign for it. */
export interface PrepareUpdateResult
  extends Pick<UpdateResult, "keyProof" | "documentProof" | "droppedVariables" | "warnings"> {
  /**
   * `unchanged`: the CVM already runs the requested document. `applied`: the cloud saw no hash to allow and has started
   * the update.
   */
  readonly outcome: "prepared" | "unchanged" | "applied";
  readonly cvm: string;
  readonly name: string;
  /** The CVM's status, as the cloud names it. */
  readonly status: string;
  readonly composeHash: ComposeHash;
  /** Undefined unless the outcome is `prepared`. */
  readonly update: PreparedUpdate | undefined;
  /** The calls that the app's owner must make, in this order. Empty if the app allows everything already. */
  readonly needed: readonly PaymentIntent[];
}

export interface PrepareUpdateParameters extends PlanUpdateParameters {}

/**
 * Prepares an update for owners that are not a key: makes every check of `updateCvm`, lets the cloud keep the update, and
 * tells what the owners must allow. The running CVM does not change, and nothing is signed. A later preparation of the
 * same CVM makes this one's token worthless. `commitUpdate` finishes the update when the owners have signed.
 *
 * @throws InvalidArgumentError if the CVM has no contract
 * @throws DstackError as updateCvm, for everything that it checks before it pays
 *
 * @example
 * import { prepareUpdate } from "dstack-toolkit/update";
 * import { appId, client, cloud, dockerCompose } from "./app.js";
 * const { needed } = await prepareUpdate({ cloud, chain: client, cvm: "my-app", appId, dockerCompose });
 * for (const { step, value } of needed) console.log(step, value);
 */
export async function prepareUpdate(parameters: PrepareUpdateParameters): Promise<PrepareUpdateResult> {
  return runPrepare(connectUpdate({ ...parameters, ledger: memoryLedger() }));
}

/** `prepareUpdate` over ports. */
export async function runPrepare(given: UpdateRun): Promise<PrepareUpdateResult> {
  const run: UpdateRun = { ...given, request: await checkRequest(given.request) };
  const target = await readCvm(run);
  const { chainId } = target;
  if (chainId === undefined) throw withoutContract(run.request.cvm);
  const document = await buildDocument(run, target);
  if (document.isUnchanged && run.request.environment === undefined) return describe("unchanged", target, document);
  const documentProof = await proveDocument(run, target, document);
  const encrypted = await encryptEnvironment(run, target);
  const { droppedVariables, unsetNames } = document;
  const names = { droppedVariables, unsetNames, ...doubtsAbout(run.request) };
  const findings = { keyProof: encrypted?.proof, documentProof, ...names };
  const draft = draftOf(run, document, encrypted?.payload);
  // The cloud would apply a change of the environment alone at once.
  const answer = document.isUnchanged ? undefined : await prepare(run, target, draft);
  if (answer?.kind === "accepted") return { ...describe("applied", target, document, findings) };
  const { composeHash, deviceId, token } = answer ?? {
    composeHash: document.composeHash,
    deviceId: undefined,
    token: undefined,
  };
  if (answer !== undefined) await checkHash(run, document, composeHash);
  const needed = await planSignatures(run, target, { composeHash, deviceId, chainId });
  const update: PreparedUpdate = {
    ...{ cvm: target.id, name: target.name, appId: target.appId, chainId, composeHash, deviceId, token, draft },
    previousComposeHash: requireHash(run, target),
    expiresAt: answer && (await run.cloud.readExpiry(target, composeHash)),
    document: document.requested,
    environment: fingerprintEnvironment(run),
  };
  return { ...describe("prepared", target, document, findings), composeHash, update, needed };
}

function describe(
  outcome: PrepareUpdateResult["outcome"],
  { id, name, status }: UpdateTarget,
  { composeHash }: RequestedDocument,
  findings: RunFindings = {},
): PrepareUpdateResult {
  const { keyProof, documentProof, droppedVariables = [] } = findings;
  return {
    ...{ outcome, cvm: id, name, status, composeHash, keyProof, documentProof, droppedVariables },
    ...{ warnings: describeWarnings(findings), update: undefined, needed: [] },
  };
}

function requireHash({ request }: UpdateRun, { composeHash }: UpdateTarget): ComposeHash {
  if (composeHash !== undefined) return composeHash;
  throw new CloudProtocolError("GET", `/cvms/${request.cvm}`, "it does not say which compose hash the CVM runs");
}

function withoutContract(cvm: string): InvalidArgumentError {
  return new InvalidArgumentError(`${cvm} has no contract, so no owner has to allow its update.`, {
    nextStep: "Update it directly: `updateCvm`.",
    context: { cvm },
  });
}
