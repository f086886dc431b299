import { type AppCompose, changeAppCompose, normaliseAppCompose } from "../../core/app-compose.ts";
import { computeComposeHash, writeAppCompose } from "../../core/compose-hash.ts";
import { hashInEveryForm, rawBytesForm } from "../../core/compose-hash-forms/forms.ts";
import { type DroppedVariable, findDroppedVariables, findUnsetVariables } from "../../core/dropped-variables.ts";
import { type EnvironmentVariable, encryptEnvironment as encrypt } from "../../core/environment.ts";
import { requireNoKeyEpochs } from "../../core/generation.ts";
import { explainHashMismatch } from "../../core/hash-mismatch.ts";
import type { ComposeHash } from "../../core/ids.ts";
import { type JsonObject, parseJsonTree, toJsonObject, writeCanonicalJson } from "../../core/json.ts";
import { CloudProtocolError, HashMismatchError, UnprovenDocumentError, WrongChainError } from "../../errors/index.ts";
import type { DocumentProof, KeyProof, ValueDoubts } from "../events.ts";
import type { PatchAccepted, PatchAnswer, PreparedAnswer, UpdateDraft } from "../ports.ts";
import { type UpdateRequest, type UpdateRun, type UpdateTarget, withStep } from "../run.ts";
import { readTrustedKmsKey } from "../trust.ts";

/** The change as the cloud gets it. */
export function draftOf(
  { request }: UpdateRun,
  { requested }: Pick<RequestedDocument, "requested">,
  encryptedEnvironment: string | undefined,
): UpdateDraft {
  const { dockerCompose, preLaunchScript, publicLogs, publicSysinfo, publicTcbinfo } = request;
  // In the order of the document, which keeps its order for the same names.
  const allowedEnvs = allowedEnvsOf(request) === undefined ? undefined : (requested.allowed_envs ?? undefined);
  return {
    ...{ dockerCompose, preLaunchScript, allowedEnvs },
    ...{ publicLogs, publicSysinfo, publicTcbinfo, encryptedEnvironment },
  };
}

/** Phase 1. It costs nothing, so every rerun repeats it. The cloud keeps the latest request. */
export function patch(run: UpdateRun, target: UpdateTarget, draft: UpdateDraft): Promise<PatchAnswer> {
  return withAnswer(run, target, () => run.cloud.patch(run.request.cvm, draft));
}

/** Phase 1 for `commit`. Every rerun repeats it, and makes the token of the run before worthless. */
export function prepare(
  run: UpdateRun,
  target: UpdateTarget,
  draft: UpdateDraft,
): Promise<PatchAccepted | PreparedAnswer> {
  return withAnswer(run, target, () => run.cloud.prepare(run.request.cvm, draft));
}

function withAnswer<Answer extends PatchAnswer>(
  run: UpdateRun,
  target: UpdateTarget,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  return withStep(
    run,
    "patch",
    async () => requireSameApp(await ask(), target, run.request.cvm),
    (answer) =>
      answer.kind === "accepted"
        ? { answer: answer.kind, correlationId: answer.correlationId }
        : { answer: answer.kind, composeHash: answer.composeHash, deviceId: answer.deviceId },
  );
}

/** Refuses an answer for another app or chain: allowing the hash on another contract would waste money. */
function requireSameApp<Answer extends PatchAnswer>(
  answer: Answer,
  { appId, chainId }: UpdateTarget,
  cvm: string,
): Answer {
  if (answer.kind === "accepted") return answer;
  if (chainId === undefined) {
    const problem = "it asks to register a hash, but an earlier answer said that the CVM has no contract";
    throw new CloudProtocolError("PATCH", `/cvms/${cvm}`, problem);
  }
  const isOtherChain = answer.chainId !== undefined && answer.chainId !== chainId;
  if (answer.appId === appId && !isOtherChain) return answer;
  const asked = `${answer.appId} on chain ${answer.chainId}`;
  throw new CloudProtocolError(
    "PATCH",
    `/cvms/${cvm}`,
    `it asks to register the hash on ${asked}, not on the CVM's app`,
  );
}

export interface RequestedDocument {
  /** The cloud may have used this name in place of the name in the manifest. */
  readonly cvmName: string;
  /** In force now. */
  readonly current: AppCompose;
  readonly requested: AppCompose;
  /** Hash of the requested document, computed locally. */
  readonly composeHash: ComposeHash;
  readonly isUnchanged: boolean;
  /** Variables that were set and that the new environment does not set. Empty if no environment is given. */
  readonly droppedVariables: readonly DroppedVariable[];
  /** Variables that the compose file needs, and that the given environment does not set. */
  readonly unsetNames: readonly string[];
}

/** @throws InvalidAppComposeError, PayloadTooLargeError, InvalidEnvironmentError */
export function buildDocument(run: UpdateRun, { name }: UpdateTarget): Promise<RequestedDocument> {
  return withStep(
    run,
    "buildDocument",
    async () => {
      const document = await build(run, name);
      await run.request.reviewDocument?.(document.requested);
      return document;
    },
    ({ composeHash, isUnchanged, ...names }) => ({
      ...{ composeHash, isUnchanged, droppedVariables: names.droppedVariables, unsetNames: names.unsetNames },
    }),
  );
}

async function build({ cloud, request }: UpdateRun, cvmName: string): Promise<RequestedDocument> {
  const current = await cloud.readAppCompose(request.cvm);
  const requested = changeAppCompose(current, { ...request, allowedEnvs: allowedEnvsOf(request) });
  return {
    cvmName,
    current,
    requested,
    composeHash: computeComposeHash(requested),
    isUnchanged: writeAppCompose(requested) === writeAppCompose(current),
    ...judgeNames(request, current, requested),
  };
}

/** Uses the allowed names as the names that were set. Only the CVM can decrypt the environment. */
function judgeNames(
  { environment }: UpdateRequest,
  current: AppCompose,
  requested: AppCompose,
): Pick<RequestedDocument, "droppedVariables" | "unsetNames"> {
  if (environment === undefined) return { droppedVariables: [], unsetNames: [] };
  const names = {
    before: current.allowed_envs ?? [],
    after: environment.map(({ key }) => key),
    dockerCompose: requested.docker_compose_file,
  };
  return {
    droppedVariables: findDroppedVariables(names),
    unsetNames: findUnsetVariables({ ...names, allowed: requested.allowed_envs ?? [] }),
  };
}

/** Allowed names. The guest discards variables that are not allowed, so a new environment allows its own names. */
export function allowedEnvsOf({ allowedEnvs, environment }: UpdateRequest): readonly string[] | undefined {
  return allowedEnvs ?? environment?.map(({ key }) => key);
}

/**
 * Checks that the app's contract allows the document that the cloud names. The update takes every field it does not replace
 * from this document, and the owner is about to allow the result. Returns undefined for a CVM without a contract.
 *
 * @throws UnprovenDocumentError, WrongChainError, KeyEpochsError, NoContractError, RpcUnavailableError
 */
export async function proveDocument(
  run: UpdateRun,
  target: UpdateTarget,
  { current, composeHash }: Pick<RequestedDocument, "current" | "composeHash">,
): Promise<DocumentProof | undefined> {
  if (target.chainId === undefined) return undefined;
  const { proof } = await withStep(
    run,
    "proveDocument",
    async () => {
      if (composeHash === run.request.provenComposeHash) {
        const proof: DocumentProof = "requested-hash";
        return { proof, composeHash, form: undefined };
      }
      const hashes = listProvingHashes(current);
      const allowed = await findAllowed(run, target, hashes);
      if (allowed === undefined && run.request.acceptUnprovenDocument !== true) {
        const tried = hashes.map(({ hash }) => hash);
        throw new UnprovenDocumentError(run.request.cvm, target.appId, tried);
      }
      const proof: DocumentProof = allowed === undefined ? "none" : "allowlist";
      return { proof, composeHash: allowed?.hash, form: allowed?.form };
    },
    (allowlist) => allowlist,
  );
  return proof;
}

async function findAllowed(
  { chain, request }: UpdateRun,
  { appId, chainId, kmsContractAddress }: UpdateTarget,
  hashes: readonly ProvingHash[],
): Promise<ProvingHash | undefined> {
  const actual = await chain.readChainId();
  if (chainId !== undefined && actual !== chainId) throw new WrongChainError(chainId, actual);
  const kms = request.kms ?? kmsContractAddress;
  // One after the other: nearly always the first is allowed.
  for (const candidate of hashes) {
    const allowlist = await chain.readAllowlist({ appId, composeHash: candidate.hash, deviceId: undefined, kms });
    requireNoKeyEpochs(allowlist.contracts, request.acceptKeyEpochs === true);
    if (allowlist.composeHashAllowed) return candidate;
  }
  return undefined;
}

/**
 * Last check before money is spent: the hash that the owner is about to allow must be the hash of the request.
 *
 * @throws HashMismatchError
 */
export function checkHash(run: UpdateRun, document: RequestedDocument, fromCloud: ComposeHash): Promise<void> {
  return withStep(
    run,
    "checkHash",
    async () => {
      const mismatch = hashMismatch(run, document, fromCloud);
      if (mismatch !== undefined) throw mismatch;
    },
    () => ({ composeHash: fromCloud, isMismatchAccepted: fromCloud !== document.composeHash }),
  );
}

/** Returns an error if the hash is neither the local one nor explicitly accepted. */
export function hashMismatch(
  { request }: UpdateRun,
  document: RequestedDocument,
  fromCloud: ComposeHash,
): HashMismatchError | undefined {
  if (fromCloud === document.composeHash || fromCloud === request.acceptHashMismatch) return undefined;
  const explanation = explainHashMismatch({ ...document, fromCloud });
  return new HashMismatchError({ expected: document.composeHash, fromCloud, explanation });
}

export interface EncryptedEnvironment {
  /** Hex, as the cloud expects it. */
  readonly payload: string;
  readonly proof: KeyProof;
}

/**
 * Encrypts the environment for the CVM's app, to a key that the trusted KMS has signed for this app. Returns undefined
 * if the environment is not replaced.
 *
 * @throws UnprovenEncryptionKeyError, UntrustedEncryptionKeyError, ChainError, CloudError
 */
export async function encryptEnvironment(
  run: UpdateRun,
  target: UpdateTarget,
): Promise<EncryptedEnvironment | undefined> {
  const { cvm, environment } = run.request;
  if (environment === undefined) return undefined;
  return withStep(
    run,
    "encryptEnvironment",
    async () => {
      const { kmsPublicKey, proof } = await readTrustedKmsKey(run, target);
      const key = await run.cloud.readEncryptionKey(cvm, { appId: target.appId, kmsPublicKey });
      return { payload: encrypt(environment, key), proof };
    },
    ({ proof }) => ({
      names: environment.map(({ key }) => key),
      ...doubtsAbout(run.request),
      appId: target.appId,
      proof,
    }),
  );
}

export function doubtsAbout({ environment = [] }: UpdateRequest): ValueDoubts {
  const namesOf = (isDoubtful: (value: string) => boolean) =>
    environment.filter(({ value }) => isDoubtful(value)).map(({ key }) => key);
  return {
    emptyNames: namesOf((value) => value === ""),
    backslashNames: namesOf((value) => value.endsWith("\\")),
  };
}

/**
 * Digest that recognises the same variables with the same values in any order; null if the environment is unchanged.
 */
export function fingerprintEnvironment({ cloud, request }: UpdateRun): string | null {
  if (request.environment === undefined) return null;
  const pairs = request.environment.map(({ key, value }: EnvironmentVariable) => [key, value] as const);
  return cloud.fingerprint(JSON.stringify(["environment", pairs.sort(([a], [b]) => (a < b ? -1 : 1))]));
}

/** A hash of a document. If an owner has allowed the hash, the owner has allowed this document and no other. */
export interface ProvingHash {
  readonly form: string;
  readonly hash: ComposeHash;
}

/**
 * Returns the hashes that prove a document from an untrusted source, most likely first. Some official forms leave out
 * unknown fields, so other documents can have the same hash. Therefore a form is used only if its text contains
 * everything that the document contains.
 */
export function listProvingHashes(document: AppCompose): readonly ProvingHash[] {
  const content = contentOf(document);
  const official = hashInEveryForm(JSON.stringify(document))
    .filter(({ form, text }) => form !== rawBytesForm && contentOfText(text) === content)
    .map(({ form, hash }) => ({ form: form.name, hash }));
  const all = [{ form: "canonical", hash: computeComposeHash(document) }, ...official];
  return all.filter(({ hash }, index) => all.findIndex((other) => other.hash === hash) === index);
}

function contentOfText(text: string): string | undefined {
  const root = parseJsonTree(text);
  return root.kind === "object" ? contentOf(toJsonObject(root)) : undefined;
}

/**
 * Returns a text that is equal for documents with the same meaning. The forms treat empty fields differently, and the
 * cloud SDK's form drops a space within strings.
 */
function contentOf(document: JsonObject): string {
  const members = Object.entries(normaliseAppCompose(document)).filter(([, value]) => !isEmpty(value));
  return writeCanonicalJson(Object.fromEntries(members)).replaceAll('": ', '":');
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);
}
