import { requireValidDockerCompose } from "../core/compose-schema/validate.ts";
import { parseKmsPublicKey } from "../core/encryption-key-signature.ts";
import { checkVariables } from "../core/environment.ts";
import { requireNoKeyEpochs } from "../core/generation.ts";
import { type AppId, type DeviceId, type Hex, parseAppId } from "../core/ids.ts";
import {
  InvalidArgumentError,
  InvalidEnvironmentError,
  KmsDowngradeError,
  UnexpectedDeviceError,
  UnprovenEncryptionKeyError,
  WrongChainError,
} from "../errors/index.ts";
import type { KeyProof } from "./events.ts";
import type { CvmSnapshot } from "./ports.ts";
import type { UpdateRequest, UpdateRun, UpdateTarget } from "./run.ts";

// This file checks what the cloud says against what the caller named. The cloud is not trusted to name the key an
// environment is encrypted to, the app of a CVM, or whether that app has a contract.

/**
 * Checks the request before the first call to the cloud: it refuses contradictory options, an environment that cannot
 * be encrypted safely and a compose file that Docker would refuse. Returns the request; `clearEnvironment` becomes an empty environment.
 *
 * @throws InvalidAppComposeError, InvalidEnvironmentError, InvalidArgumentError, UnprovenEncryptionKeyError
 */
export async function checkRequest(
  request: UpdateRequest,
  options: {
    /** Whether the caller has named the app, where the request does not hold it yet. */
    readonly isAppNamed?: boolean;
  } = {},
): Promise<UpdateRequest> {
  const { environment, clearEnvironment = false, allowedEnvs, kms, expectedKmsPublicKey, acceptUnprovenKey } = request;
  const isAppNamed = options.isAppNamed ?? (request.appId !== undefined || appNamedBy(request.cvm) !== undefined);
  if (clearEnvironment && environment !== undefined && environment.length > 0) {
    throw new InvalidArgumentError("The request clears the environment and sets variables.", {
      nextStep: "Pass either `environment` or `clearEnvironment`.",
    });
  }
  if (!clearEnvironment && environment?.length === 0) throw emptyEnvironment();
  checkVariables(environment ?? []);
  refuseEmptyValues(request);
  const discarded = environment?.find(({ key }) => allowedEnvs !== undefined && !allowedEnvs.includes(key));
  if (discarded !== undefined) {
    throw new InvalidEnvironmentError(`The environment sets ${discarded.key}, which allowedEnvs does not name.`, {
      nextStep:
        "Add it to `allowedEnvs`, or omit `allowedEnvs`. The guest discards variables that the list does not name.",
      context: { name: discarded.key },
    });
  }
  const isReplaced = clearEnvironment || environment !== undefined;
  if (isReplaced && kms === undefined && expectedKmsPublicKey === undefined && acceptUnprovenKey !== true) {
    throw new UnprovenEncryptionKeyError("the caller named no KMS and pinned no key");
  }
  // A KMS signs the key of any app that is registered at it, and anyone can register one.
  if (isReplaced && !isAppNamed && acceptUnprovenKey !== true) {
    throw new UnprovenEncryptionKeyError("the caller named no app, so the cloud could choose one", {
      missing: "app",
    });
  }
  if (expectedKmsPublicKey !== undefined) parseKmsPublicKey(expectedKmsPublicKey);
  if (request.dockerCompose !== undefined) await requireValidDockerCompose(request.dockerCompose, request);
  return clearEnvironment ? { ...request, environment: [] } : request;
}

/** @throws InvalidEnvironmentError */
function refuseEmptyValues({ environment = [], acceptEmptyValues }: UpdateRequest): void {
  if (acceptEmptyValues === true || environment.length === 0 || environment.some(({ value }) => value !== "")) return;
  const names = environment.map(({ key }) => key);
  throw new InvalidEnvironmentError(`The new environment sets only empty values: ${names.join(", ")}.`, {
    nextStep:
      "Check where the values come from. To set empty values on purpose, pass `acceptEmptyValues`. To remove every variable, pass `clearEnvironment`.",
    context: { names },
  });
}

/** The error for an environment that sets no variable: it would remove every variable of the CVM. */
export function emptyEnvironment(): InvalidEnvironmentError {
  return new InvalidEnvironmentError("The new environment sets no variable.", {
    nextStep:
      "Pass the whole environment. To remove every variable on purpose, pass `clearEnvironment`. The current values cannot be read back.",
  });
}

/**
 * Returns the CVM if it belongs to the app that the caller named, and if a chain was named for a CVM with a contract.
 *
 * If the cloud says that a CVM has no contract, this is accepted only if the caller names neither chain nor app. This
 * matters even if no secret is involved: otherwise no check on chain would run, but the result would not show that.
 *
 * @throws InvalidArgumentError, KmsDowngradeError
 */
export function requireTarget<Snapshot extends CvmSnapshot & { readonly appId: AppId }>(
  run: UpdateRun,
  snapshot: Snapshot,
): Snapshot {
  const { cvm } = run.request;
  const { appId } = run.request;
  for (const wanted of [appId, appNamedBy(cvm)]) {
    if (wanted === undefined || wanted === snapshot.appId) continue;
    throw new InvalidArgumentError(`The cloud says that ${cvm} is a CVM of app ${snapshot.appId}, not of ${wanted}.`, {
      nextStep:
        "Give a CVM of the app. If this CVM belongs to the app, do not continue: the cloud answers for another app.",
      context: { cvm, itsApp: snapshot.appId, wanted },
    });
  }
  if (snapshot.chainId === undefined) {
    if (run.isChainNamed) throw new KmsDowngradeError(cvm, "the caller named a chain for its app");
    if (appId !== undefined) throw new KmsDowngradeError(cvm, `the caller named its app, ${appId}`);
  } else if (!run.isChainNamed) {
    throw new InvalidArgumentError(`${cvm} has a contract on chain ${snapshot.chainId}, but no chain was given.`, {
      nextStep: "Connect that chain: pass `chain`.",
      context: { cvm, chainId: snapshot.chainId },
    });
  }
  return snapshot;
}

/** The app id, if the caller named the CVM by its app. */
export function appNamedBy(cvm: string): AppId | undefined {
  return /^(?:app_|0x)?[0-9a-f]{40}$/i.test(cvm) ? parseAppId(cvm) : undefined;
}

export interface TrustedKmsKey {
  /** Key of the KMS that must have signed the app's key; undefined if the caller accepts the cloud's key without proof. */
  readonly kmsPublicKey: Hex | undefined;
  readonly proof: KeyProof;
}

/**
 * Reads the key of the KMS that must have signed the app's key. Ignores the KMS address in the cloud's answers and the
 * app's registration, because anyone can deploy a KMS and register an app with it.
 *
 * @throws UnprovenEncryptionKeyError, WrongChainError, KeyEpochsError, NoContractError, ContractRevertedError,
 * RpcUnavailableError
 */
export async function readTrustedKmsKey(run: UpdateRun, { chainId }: UpdateTarget): Promise<TrustedKmsKey> {
  const { kms, expectedKmsPublicKey, acceptUnprovenKey } = run.request;
  if (expectedKmsPublicKey !== undefined) {
    return { kmsPublicKey: parseKmsPublicKey(expectedKmsPublicKey), proof: "pinned-key" };
  }
  let reason = "the caller named no KMS and pinned no key";
  if (kms !== undefined && chainId === undefined) {
    reason = "the cloud says that the CVM's KMS has no contract, and no key is pinned";
  } else if (kms !== undefined) {
    const actual = await run.chain.readChainId();
    if (actual !== chainId) throw new WrongChainError(chainId ?? actual, actual);
    // After a key rotation, the KMS signs with another key than the one that the first generation's view returns.
    requireNoKeyEpochs(await run.chain.judgeKms(kms), run.request.acceptKeyEpochs === true);
    const kmsPublicKey = await run.chain.readKmsPublicKey(kms);
    if (kmsPublicKey !== undefined) return { kmsPublicKey, proof: "kms-contract" };
    reason = `the DstackKms ${kms} has published no key`;
  }
  // `acceptUnprovenKey` covers a missing proof only. A proof that fails is still refused where it is verified.
  if (acceptUnprovenKey === true) return { kmsPublicKey: undefined, proof: "none" };
  throw new UnprovenEncryptionKeyError(reason, { kms });
}

/**
 * Returns if the update may allow this device. Only the cloud has named it.
 *
 * @throws UnexpectedDeviceError
 */
export function requireExpectedDevice({ request }: UpdateRun, deviceId: DeviceId): void {
  const { cvm, devices = "any" } = request;
  if (devices === "any") return;
  const allowed = devices === "none" ? [] : devices;
  if (!allowed.includes(deviceId)) throw new UnexpectedDeviceError(cvm, deviceId, allowed);
}
