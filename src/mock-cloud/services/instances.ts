import { createHash, randomBytes } from "node:crypto";
import { alreadyRegistered, errorCodes } from "../../cloud/protocol.ts";
import type { AppComposeChanges } from "../../core/app-compose.ts";
import type { AppId, ComposeHash } from "../../core/ids.ts";
import type { Clock } from "../clock.ts";
import { ApiError, chainUnavailable, hashInvalidOrExpired } from "../errors.ts";
import type { Rollover } from "../rollover/rollover.ts";
import type { Cvm, Workload } from "../store/cvms.ts";
import type { Kms, Node } from "../store/platform.ts";
import type { PreparedInstance } from "../store/prepared-instances.ts";
import type { Store } from "../store/store.ts";
import { type OnchainStatus, readOnchainStatus } from "../verification/read-registration.ts";
import type { Fleet } from "./fleet.ts";
import type { KmsRuntime } from "./kms.ts";
import type { Confirmation, RegistrationVerifier } from "./onchain-policy.ts";
import { planUpdate } from "./plan-update.ts";
import type { TokenCommit } from "./prepared-updates.ts";
import { newCvmIds } from "./provisioning.ts";
import { pendingLifetimeMs } from "./updates.ts";

export interface InstanceRequest {
  /** @default the name of the source CVM */
  readonly name?: string | undefined;
  /** @default a node that does not run the app yet and has room, else any node with room */
  readonly nodeId: number | undefined;
  /** Hash of a document that the app runs or has run. */
  readonly composeHash: ComposeHash | undefined;
  readonly compose?: AppComposeChanges;
  readonly encryptedEnv: string | undefined;
  /** Whether to answer with a token even if nothing is left to register. */
  readonly isPrepareOnly: boolean;
  readonly correlationId: string;
}

export type InstanceOutcome =
  | { readonly kind: "created"; readonly cvm: Cvm }
  | {
      readonly kind: "registration-required";
      readonly token: string;
      readonly appId: AppId;
      readonly composeHash: ComposeHash;
      readonly kms: Kms;
      readonly node: Node;
      readonly onchain: OnchainStatus;
    };

export interface InstancesDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly fleet: Fleet;
  readonly rollover: Rollover;
  readonly verifier: RegistrationVerifier;
  readonly kmsRuntime: KmsRuntime;
}

/**
 * Adds CVMs to an existing app. Each CVM has its own document, so one app may run several hashes. On an on-chain KMS
 * the app's contract must allow the document and the device first; until then a commit token waits. Each token is for
 * one new CVM, so a newer token does not supersede older ones. (For updates, a CVM has only one live token at a time.)
 */
export class Instances {
  readonly #dependencies: InstancesDependencies;

  constructor(dependencies: InstancesDependencies) {
    this.#dependencies = dependencies;
  }

  /** Creates a CVM like `source`. @throws ApiError 400, 409, 466, or 503 when the chain cannot be read */
  async replicate(source: Cvm, request: InstanceRequest): Promise<InstanceOutcome> {
    // A CVM whose update waits for finality can be copied: the copy runs the document in force.
    this.#dependencies.rollover.requireIdle(source, true);
    const { composeHash } = request;
    const app = this.#dependencies.store.cvms.withAppId(source.workspaceId, source.appId);
    const template = composeHash === undefined ? source : this.#findDocument(app, composeHash);
    return this.#add(source, template, request);
  }

  /**
   * Adds a CVM to an app. It copies the newest CVM that runs the same document.
   *
   * @param app the app's CVMs, oldest first
   * @throws ApiError 400 when the app runs several documents and the request names none; also the errors of `replicate`
   */
  async create(app: readonly [Cvm, ...Cvm[]], request: InstanceRequest): Promise<InstanceOutcome> {
    const hashes = [...new Set(app.map(({ composeHash }) => composeHash))];
    const [onlyHash] = hashes;
    if (request.composeHash === undefined && hashes.length > 1) {
      throw new ApiError(400, errorCodes.composeHashNeeded, "The app runs several compose files; name one of them.", {
        details: [{ field: "compose_hashes", value: hashes.map((hash) => hash.slice(2)) }],
        suggestions: ["Send its compose_hash."],
      });
    }
    const composeHash = request.composeHash ?? onlyHash ?? app[0].composeHash;
    const source = app.findLast((cvm) => cvm.composeHash === composeHash) ?? app[app.length - 1] ?? app[0];
    return this.#add(source, this.#findDocument(app, composeHash), request);
  }

  /** Finds the CVM that was prepared for a token, even after it was created. @throws ApiError 466 */
  find(token: string): PreparedInstance {
    const { cvms, preparedInstances } = this.#dependencies.store;
    const prepared = preparedInstances.find(hashToken(token));
    if (!prepared) throw hashInvalidOrExpired("There is no such commit token.");
    if (prepared.cvmId === null && !cvms.find(prepared.sourceCvmId)) {
      throw hashInvalidOrExpired("The CVM that this one was to be made after is gone.");
    }
    return prepared;
  }

  /** Reads what the contract allows for a prepared CVM now. Undefined on an off-chain KMS. @throws ApiError 503 */
  async readStatus({ sourceCvmId, nodeId, composeHash }: PreparedInstance): Promise<OnchainStatus | undefined> {
    const { store } = this.#dependencies;
    const source = store.cvms.get(sourceCvmId);
    const { kms, node } = store.platform.placeOf({ kmsId: source.kmsId, nodeId });
    return this.#readChain(source, kms, node, composeHash);
  }

  /**
   * Creates the prepared CVM. A second call with the same token returns the same CVM.
   *
   * @throws ApiError 466 when the token is unknown or expired, belongs to another app or hash, or its CVM was deleted;
   * 467, 468, 503
   */
  async commit(workspaceId: string, appId: AppId, commit: TokenCommit, correlationId: string): Promise<Cvm> {
    const { store, clock, verifier } = this.#dependencies;
    const find = () => {
      const prepared = this.find(commit.token);
      if (prepared.workspaceId !== workspaceId || prepared.appId !== appId) {
        throw hashInvalidOrExpired("The commit token is of another app.");
      }
      if (commit.composeHash !== undefined && commit.composeHash !== prepared.composeHash) {
        throw hashInvalidOrExpired(`The token is for compose hash ${prepared.composeHash}.`);
      }
      if (prepared.cvmId === null && clock.now() >= prepared.expiresAt) {
        throw hashInvalidOrExpired("The commit token has expired.");
      }
      if (prepared.cvmId !== null && !store.cvms.find(prepared.cvmId)) {
        throw hashInvalidOrExpired("The commit token was used, and the CVM that it became is deleted.");
      }
      return prepared;
    };
    const prepared = find();
    const source = store.cvms.get(prepared.sourceCvmId);
    const { transactionHash = alreadyRegistered } = commit;
    if (prepared.cvmId === null) {
      const { composeHash } = prepared;
      await verifier.verify(source, { composeHash, transactionHash });
    }
    // Verification takes time, so a second request with the same token may have created the CVM meanwhile.
    const { cvmId, ...still } = find();
    if (cvmId !== null) return store.cvms.get(cvmId);
    return this.#insert(source, still, correlationId, transactionHash, (cvm) =>
      store.preparedInstances.become(still.id, cvm.id),
    );
  }

  async #add(source: Cvm, template: Workload, request: InstanceRequest): Promise<InstanceOutcome> {
    const { store, clock, fleet } = this.#dependencies;
    const { compose = {}, encryptedEnv, isPrepareOnly } = request;
    const { workload } = planUpdate(template, { compose, encryptedEnv });
    const name = request.name ?? source.name;
    this.#refuseForeignName(source, name);
    const node = fleet.choose({
      nodeId: request.nodeId,
      vcpu: workload.settings.vcpu,
      memoryMb: workload.settings.memoryMb,
      avoid: store.cvms.ofApp(source.appId).map(({ nodeId }) => nodeId),
    });
    const place = { name, nodeId: node.id };
    const { kms } = store.platform.placeOf(source);
    const onchain = await this.#readChain(source, kms, node, workload.composeHash);
    if (!onchain || (onchain.isHashAllowed && onchain.isDeviceAllowed && !isPrepareOnly)) {
      const transactionHash = onchain ? alreadyRegistered : null;
      const cvm = this.#insert(source, { ...workload, ...place }, request.correlationId, transactionHash, () => {});
      return { kind: "created", cvm };
    }
    const token = `ct_${randomBytes(24).toString("base64url")}`;
    const { composeText, composeHash, settings } = workload;
    store.preparedInstances.insert(hashToken(token), {
      ...place,
      workspaceId: source.workspaceId,
      appId: source.appId,
      sourceCvmId: source.id,
      composeText,
      composeHash,
      encryptedEnv: workload.encryptedEnv,
      settings,
      expiresAt: clock.now() + pendingLifetimeMs,
    });
    return { kind: "registration-required", token, appId: source.appId, composeHash, kms, node, onchain };
  }

  #insert(
    source: Cvm,
    wanted: Workload & Pick<PreparedInstance, "name" | "nodeId">,
    correlationId: string,
    transactionHash: Confirmation["transactionHash"] | null,
    note: (cvm: Cvm) => void,
  ): Cvm {
    const { store, clock, rollover } = this.#dependencies;
    const now = clock.now();
    const { name, nodeId, composeText, composeHash, encryptedEnv, settings } = wanted;
    const { cvm, operation } = store.transaction(() => {
      const cvm = store.cvms.insert({
        ...newCvmIds(),
        workspaceId: source.workspaceId,
        name,
        appId: source.appId,
        kmsId: source.kmsId,
        nodeId,
        nextNodeId: null,
        appNonce: source.appNonce,
        status: "creating",
        bootError: null,
        composeText,
        composeHash,
        encryptedEnv,
        settings,
        deployerAddress: source.deployerAddress,
        createdAt: now,
        updatedAt: now,
      });
      note(cvm);
      const record = { kind: "create", workload: cvm, correlationId, transactionHash } as const;
      return { cvm, operation: rollover.record(cvm.id, record) };
    });
    rollover.start(operation);
    return cvm;
  }

  /** Undefined on an off-chain KMS, because no contract decides there. */
  async #readChain(
    { appId, kmsId, hashid }: Cvm,
    { chainId }: Kms,
    { deviceId }: Node,
    composeHash: ComposeHash,
  ): Promise<OnchainStatus | undefined> {
    if (chainId === null) return undefined;
    const client = this.#dependencies.kmsRuntime.chain(kmsId, hashid);
    if (!client) throw chainUnavailable(chainId, "no endpoint is configured");
    try {
      return await readOnchainStatus(client, { appId, composeHash, deviceId });
    } catch (error) {
      throw chainUnavailable(chainId, error);
    }
  }

  /** Finds a document that a CVM of the app runs or has run. */
  #findDocument(app: readonly Cvm[], composeHash: ComposeHash): Workload {
    const { operations } = this.#dependencies.store;
    const running = app.findLast((cvm) => cvm.composeHash === composeHash);
    const earlier = () =>
      app.flatMap(({ id }) => operations.ofCvm(id)).findLast((operation) => operation.composeHash === composeHash);
    const found = running ?? earlier();
    if (!found) throw hashInvalidOrExpired(`The app has no compose file with hash ${composeHash}.`);
    return found;
  }

  /** CVMs of the same app may share a name. */
  #refuseForeignName({ workspaceId, appId }: Cvm, name: string): void {
    if (this.#dependencies.store.cvms.withName(workspaceId, name).every((cvm) => cvm.appId === appId)) return;
    throw new ApiError(409, errorCodes.duplicateCvmName, `Another app of the workspace has a CVM named ${name}.`);
  }
}

function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
