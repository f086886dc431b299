import { parseKmsPublicKey } from "../core/encryption-key-signature.ts";
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
import type { CvmFacts } from "./ports.ts";
import type { UpdateRequest, UpdateRun, UpdateTarget } from "./run.ts";

// What the cloud says is held here against what the caller named. The cloud is not trusted: neither with the key an
// environment is encrypted to, nor with which app a CVM belongs to, nor with whether that app has a contract.

/**
 * The request, with an environment that is to be cleared as an empty one. Refuses, before anything is asked of the cloud,
 * what nobody can mean and what could not be encrypted safely.
 *
 * @throws InvalidEnvironmentError, InvalidArgumentError, UnprovenEncryptionKeyError
 */
export function checkRequest(request: UpdateRequest): UpdateRequest {
  const { environment, clearEnvironment = false, allowedEnvs, kms, expectedKmsPublicKey, acceptUnprovenKey } = request;
  if (clearEnvironment && environment !== undefined && environment.length > 0) {
    throw new InvalidArgumentError("The environment is to be cleared, and variables are given.", {
      nextStep: "Give either the environment or clearEnvironment (in tasks --clear-environment).",
    });
  }
  if (!clearEnvironment && environment?.length === 0) throw emptyEnvironment();
  const discarded = environment?.find(({ key }) => allowedEnvs !== undefined && !allowedEnvs.includes(key));
  if (discarded !== undefined) {
    throw new InvalidEnvironmentError(`The environment sets ${discarded.key}, which allowedEnvs does not name.`, {
      nextStep: "Name it there, or leave allowedEnvs out: the guest discards what is not allowed.",
      context: { name: discarded.key },
    });
  }
  const isReplaced = clearEnvironment || environment !== undefined;
  if (isReplaced && kms === undefined && expectedKmsPublicKey === undefined && acceptUnprovenKey !== true) {
    throw new UnprovenEncryptionKeyError("no KMS is named, and no key is pinned");
  }
  if (expectedKmsPublicKey !== undefined) parseKmsPublicKey(expectedKmsPublicKey);
  return clearEnvironment ? { ...request, environment: [] } : request;
}

/** For an environment that sets nothing, which would take every variable away. */
export function emptyEnvironment(): InvalidEnvironmentError {
  return new InvalidEnvironmentError("The new environment sets no variable.", {
    nextStep:
      "Give the whole environment. To take every variable away on purpose, use clearEnvironment (in tasks --clear-environment); the present values cannot be read back by anyone.",
  });
}

/**
 * The CVM as an update may go on with it: of the app that the caller named, and on a chain where one was named.
 *
 * A CVM without a contract is taken at the cloud's word only where the caller names neither chain nor app. With no secret
 * at stake the word matters too: nothing would be checked on chain, and the result would look as if it had been.
 *
 * @throws InvalidArgumentError, KmsDowngradeError
 */
export function requireTarget<Facts extends CvmFacts & { readonly appId: AppId }>(run: UpdateRun, facts: Facts): Facts {
  const { cvm } = run.request;
  const { appId } = run.request;
  for (const wanted of [appId, appNamedBy(cvm)]) {
    if (wanted === undefined || wanted === facts.appId) continue;
    throw new InvalidArgumentError(`The cloud says that ${cvm} is a CVM of app ${facts.appId}, not of ${wanted}.`, {
      nextStep: "Name a CVM of the app. If this one is, do not go on: the cloud answers for another app.",
      context: { cvm, itsApp: facts.appId, wanted },
    });
  }
  if (facts.chainId === undefined) {
    if (run.isChainNamed) throw new KmsDowngradeError(cvm, "a chain was named for its app");
    if (appId !== undefined) throw new KmsDowngradeError(cvm, `its app was named: ${appId}`);
  } else if (!run.isChainNamed) {
    throw new InvalidArgumentError(`${cvm} has a contract on chain ${facts.chainId}, and no chain was given.`, {
      nextStep: "Give a client of that chain (chain; in tasks --network).",
      context: { cvm, chainId: facts.chainId },
    });
  }
  return facts;
}

/** A CVM may be named by its app. */
function appNamedBy(cvm: string): AppId | undefined {
  return /^(?:app_|0x)?[0-9a-f]{40}$/i.test(cvm) ? parseAppId(cvm) : undefined;
}

export interface TrustedKmsKey {
  /** Of the KMS that must have signed the app's key; undefined where the cloud alone is believed. */
  readonly kmsPublicKey: Hex | undefined;
  readonly proof: KeyProof;
}

/**
 * The key of the KMS that must vouch for the app's key. Neither the KMS address in the cloud's answers nor a registration of
 * the app is asked: anyone can deploy a KMS, and anyone can register an app at one.
 *
 * @throws UnprovenEncryptionKeyError, WrongChainError, KeyEpochsError, NoContractError, ContractRevertedError, RpcUnavailableError
 */
export async function readTrustedKmsKey(run: UpdateRun, { chainId }: UpdateTarget): Promise<TrustedKmsKey> {
  const { kms, expectedKmsPublicKey, acceptUnprovenKey } = run.request;
  if (expectedKmsPublicKey !== undefined) {
    return { kmsPublicKey: parseKmsPublicKey(expectedKmsPublicKey), proof: "pinned-key" };
  }
  let reason = "no KMS is named, and no key is pinned";
  if (kms !== undefined && chainId === undefined) {
    reason = "the CVM's KMS has no contract, as the cloud says, and no key is pinned";
  } else if (kms !== undefined) {
    const actual = await run.chain.readChainId();
    if (actual !== chainId) throw new WrongChainError(chainId ?? actual, actual);
    // After a rotation another key signs than the one the first generation's view names.
    requireNoKeyEpochs(await run.chain.judgeKms(kms), run.request.acceptKeyEpochs === true);
    const kmsPublicKey = await run.chain.readKmsPublicKey(kms);
    if (kmsPublicKey !== undefined) return { kmsPublicKey, proof: "kms-contract" };
    reason = `the DstackKms ${kms} has published no key`;
  }
  // Accepting covers a proof that cannot be had. One that fails is refused all the same, where it is verified.
  if (acceptUnprovenKey === true) return { kmsPublicKey: undefined, proof: "none" };
  throw new UnprovenEncryptionKeyError(reason, { kms });
}

/**
 * Returns if the update may allow this device, which only the cloud has named.
 *
 * @throws UnexpectedDeviceError
 */
export function requireExpectedDevice({ request }: UpdateRun, deviceId: DeviceId): void {
  const { cvm, devices = "any" } = request;
  if (devices === "any") return;
  const allowed = devices === "none" ? [] : devices;
  if (!allowed.includes(deviceId)) throw new UnexpectedDeviceError(cvm, deviceId, allowed);
}
