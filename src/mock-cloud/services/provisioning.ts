import { createHash, randomBytes, randomUUID } from "node:crypto";
import { errorCodes } from "../../cloud/protocol.ts";
import { type BuildAppComposeParameters, buildAppCompose, checkAppCompose } from "../../core/app-compose.ts";
import { hashAppComposeText, writeAppCompose } from "../../core/compose-hash.ts";
import { type AppId, type ComposeHash, type Hex, parseAppId } from "../../core/ids.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Clock } from "../clock.ts";
import { ApiError, hashInvalidOrExpired, kmsNotFound } from "../errors.ts";
import type { Rollover } from "../rollover/rollover.ts";
import type { Cvm, CvmSettings } from "../store/cvms.ts";
import type { Kms, Node, OsImage } from "../store/platform.ts";
import type { Provision } from "../store/small-tables.ts";
import type { Store } from "../store/store.ts";
import { findKms } from "./find.ts";
import { chooseSize, defaultDiskGb, type Fleet, instanceTypes, requireOsImage } from "./fleet.ts";
import { latestOfficialScript } from "./pre-launch-script.ts";
import { pendingLifetimeMs } from "./updates.ts";

export interface ProvisionRequest {
  readonly name: string;
  /** Without a pre-launch script, the CVM gets the cloud's own one. With an empty one, it has none. */
  readonly compose: BuildAppComposeParameters;
  /** More keys of the app-compose document, copied unchanged. */
  readonly manifest: JsonObject;
  /** Id, slug, type word or contract address. @default the first off-chain KMS, else the first one */
  readonly kms: string | undefined;
  readonly nodeId: number | undefined;
  readonly region: string | undefined;
  readonly osImage: string | undefined;
  readonly preferDev: boolean | undefined;
  readonly instanceType: string | undefined;
  readonly vcpu: number | undefined;
  readonly memoryMb: number | undefined;
  readonly diskGb: number | undefined;
  readonly listed: boolean | undefined;
  /** An app id that the caller chose. Off chain: the id derived from `nonce`. On chain: an existing app contract. */
  readonly appId: AppId | undefined;
  readonly nonce: number | undefined;
}

export interface Provisioned {
  readonly provision: Omit<Provision, "id">;
  readonly kms: Kms;
  readonly node: Node;
  readonly osImage: OsImage;
}

export interface CreateRequest {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly encryptedEnv: string | undefined;
  /** The KMS that the CVM was planned for, if the client names it. */
  readonly kms: string | undefined;
  readonly deployerAddress: Hex | undefined;
}

export interface ProvisioningDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly rollover: Rollover;
  readonly fleet: Fleet;
}

/** Creates CVMs in two steps: `provision` fixes a hash and a node; `create` makes the CVM once the app id is known. */
export class Provisioning {
  readonly #dependencies: ProvisioningDependencies;

  constructor(dependencies: ProvisioningDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws ApiError; InvalidAppComposeError, PayloadTooLargeError, InvalidEnvironmentError */
  provision(workspaceId: string, request: ProvisionRequest): Provisioned {
    const { store, clock, fleet } = this.#dependencies;
    const { preLaunchScript = latestOfficialScript } = request.compose;
    const compose = buildAppCompose({ ...request.compose, preLaunchScript });
    const document = checkAppCompose({ ...compose, ...request.manifest });
    if (store.cvms.withName(workspaceId, request.name).length > 0) {
      throw new ApiError(409, errorCodes.duplicateCvmName, `The workspace has a CVM named ${request.name} already.`);
    }
    const kms = this.#chooseKms(request.kms);
    const osImage = this.#chooseOsImage(request);
    const settings = chooseSettings(request, osImage);
    const { vcpu, memoryMb } = settings;
    const node = fleet.choose({ nodeId: request.nodeId, region: request.region, vcpu, memoryMb });
    const composeText = writeAppCompose(document);
    const provision = {
      workspaceId,
      composeHash: hashAppComposeText(composeText),
      composeText,
      ...this.#chooseAppId(workspaceId, kms, request),
      name: request.name,
      kmsId: kms.id,
      nodeId: node.id,
      settings,
      expiresAt: clock.now() + pendingLifetimeMs,
    };
    store.provisions.insert(provision);
    return { provision, kms, node, osImage };
  }

  /**
   * Creates the provisioned CVM and boots it. A second call with the same app and hash returns the same CVM.
   *
   * @throws ApiError 466 when nothing was provisioned, 409 when the app runs another document
   */
  create(workspaceId: string, request: CreateRequest, correlationId: string): Cvm {
    const { store, clock, rollover } = this.#dependencies;
    const { appId, composeHash } = request;
    const ofApp = store.cvms.ofApp(appId);
    const existing = ofApp.find((cvm) => cvm.composeHash === composeHash && cvm.workspaceId === workspaceId);
    if (existing) return existing;
    if (ofApp.length > 0) throw appExists(appId);
    const now = clock.now();
    const planned = store.provisions
      .find(workspaceId, composeHash, now)
      .filter(({ kmsId }) => request.kms === undefined || kmsId === findKms(store.platform, request.kms).id);
    const provision = planned.find((plan) => plan.appId === appId) ?? planned.find((plan) => plan.appId === null);
    if (!provision)
      throw hashInvalidOrExpired(`No CVM of app ${appId} with compose hash ${composeHash} was provisioned.`);

    const { composeText, name, kmsId, nodeId, appNonce, settings } = provision;
    const { cvm, operation } = store.transaction(() => {
      const cvm = store.cvms.insert({
        ...newCvmIds(),
        workspaceId,
        name,
        appId,
        kmsId,
        nodeId,
        nextNodeId: null,
        appNonce,
        status: "creating",
        bootError: null,
        composeText,
        composeHash,
        encryptedEnv: request.encryptedEnv ?? null,
        settings,
        deployerAddress: request.deployerAddress ?? null,
        createdAt: now,
        updatedAt: now,
      });
      const record = { kind: "create", workload: cvm, correlationId, transactionHash: null } as const;
      return { cvm, operation: rollover.record(cvm.id, record) };
    });
    rollover.start(operation);
    return cvm;
  }

  #chooseKms(reference: string | undefined): Kms {
    const { platform } = this.#dependencies.store;
    if (reference !== undefined) return findKms(platform, reference);
    const all = platform.listKms();
    const kms = all.find(({ chainId }) => chainId === null) ?? all[0];
    if (!kms) throw kmsNotFound("");
    return kms;
  }

  /** The app id is null on an on-chain KMS: the caller deploys the app's contract next, and its address is the id. */
  #chooseAppId(workspaceId: string, kms: Kms, { appId, nonce }: ProvisionRequest) {
    if (appId !== undefined && this.#dependencies.store.cvms.ofApp(appId).length > 0) throw appExists(appId);
    if (kms.chainId !== null) return { appId: appId ?? null, appNonce: null };
    if (nonce === undefined) {
      if (appId === undefined) return { appId: parseAppId(randomBytes(20).toString("hex")), appNonce: null };
      throw invalidAppId(`App id ${appId} needs the nonce it was derived from.`);
    }
    const derived = deriveAppId(workspaceId, nonce);
    if (appId !== undefined && appId !== derived) throw invalidAppId(`Nonce ${nonce} leads to app id ${derived}.`);
    return { appId: derived, appNonce: nonce };
  }

  #chooseOsImage({ osImage: name, preferDev = false }: ProvisionRequest): OsImage {
    const { platform } = this.#dependencies.store;
    if (name !== undefined) return requireOsImage(platform, name);
    const all = platform.listOsImages();
    const image = all.find(({ isDev }) => isDev === preferDev) ?? all[0];
    if (!image) throw new ApiError(400, errorCodes.imageNotFound, "There is no OS image to boot.");
    return image;
  }
}

function appExists(appId: AppId): ApiError {
  return new ApiError(409, errorCodes.cvmAppIdConflict, `App ${appId} exists already, with another compose file.`);
}

function invalidAppId(problem: string): ApiError {
  return new ApiError(400, errorCodes.invalidRequest, problem, {
    suggestions: ["GET /kms/phala/next_app_id names an app id and its nonce."],
  });
}

function chooseSettings(request: ProvisionRequest, osImage: OsImage): CvmSettings {
  const [smallest] = instanceTypes;
  return {
    ...chooseSize({ ...smallest, instanceType: smallest.name }, request),
    diskGb: request.diskGb ?? defaultDiskGb,
    osImage: osImage.name,
    listed: request.listed ?? false,
    userConfig: null,
    shutdownTimeout: null,
    allowForceStop: null,
    gpus: null,
  };
}

/** The permanent names of a new CVM. Its row number is assigned later. */
export function newCvmIds(): { readonly hashid: string; readonly vmUuid: string; readonly instanceId: Hex } {
  return {
    hashid: `cvm_${randomBytes(6).toString("base64url").replace(/[-_]/g, "0")}`,
    vmUuid: randomUUID(),
    instanceId: `0x${randomBytes(20).toString("hex")}`,
  };
}

/** Derives the app id of a workspace for a nonce on an off-chain KMS. The caller can compute it in advance. */
export function deriveAppId(workspaceId: string, nonce: number): AppId {
  return parseAppId(createHash("sha256").update(`${workspaceId} ${nonce}`).digest("hex").slice(0, 40));
}
