import {
  type ContractOwnerKind,
  DstackError,
  describeObjections,
  namesOf,
  nextSteps,
  type RemovalObjection,
} from "./base.ts";

abstract class UpdateError extends DstackError {
  readonly family = "update";
}

export interface HashMismatchDetails {
  readonly expected: string;
  readonly fromCloud: string;
  /** Why the hashes differ, for example a field that the cloud changed or another serialisation form. */
  readonly explanation: string;
}

export class HashMismatchError extends UpdateError {
  override readonly name = "HashMismatchError";
  constructor(details: HashMismatchDetails) {
    super(
      `The cloud asks the owner to allow the hash ${details.fromCloud}, but the requested document has ${details.expected}: ${details.explanation}.`,
      {
        nextStep: `Nothing was paid. Review the difference. Only if you want it, pass \`acceptHashMismatch: ${details.fromCloud}\`.`,
        context: { ...details },
      },
    );
  }
}

export class RolloverTimeoutError extends UpdateError {
  override readonly name = "RolloverTimeoutError";
  constructor(cvm: string, status: string, waitedMs: number, correlationId: string | undefined) {
    super(`CVM ${cvm} is still ${status} after ${Math.round(waitedMs / 1000)} s.`, {
      nextStep:
        "The cloud has accepted the update. Start it again to continue to wait. Quote the correlation id in a support ticket.",
      context: { cvm, status, waitedMs, correlationId },
    });
  }
}

export class RolloverFailedError extends UpdateError {
  override readonly name = "RolloverFailedError";
  constructor(cvm: string, reason: string, correlationId: string | undefined) {
    super(`CVM ${cvm} did not boot the new compose file: ${reason.replace(/\.+$/, "")}.`, {
      nextStep:
        "The cloud goes back to the previous compose file, if that boots. Remove the cause (device, OS image, registration), then update again.",
      context: { cvm, reason, correlationId },
    });
  }
}

export class UnexpectedDeviceError extends UpdateError {
  override readonly name = "UnexpectedDeviceError";
  constructor(cvm: string, deviceId: string, allowed: readonly string[]) {
    const instead =
      allowed.length === 0 ? "the update may allow no device" : `the update may allow only ${allowed.join(", ")}`;
    super(`The cloud names device ${deviceId} for ${cvm}, but ${instead}.`, {
      nextStep: "Nothing was paid. If you know this device and trust it, allow it with `devices`.",
      context: { cvm, deviceId, allowed },
    });
  }
}

export class UnprovenDocumentError extends UpdateError {
  override readonly name = "UnprovenDocumentError";
  constructor(cvm: string, appId: string, hashes: readonly string[]) {
    super(
      `The cloud returned a document of ${cvm} that app ${appId} does not allow in any official form. The update would take every field from it that you do not set.`,
      {
        nextStep:
          "Nothing was paid. Compare the cloud's document with the one that you deployed: the API returns it as compose_file, and `examineHashes` names the differences. If the document is right (for example, because its hash was removed), pass `acceptUnprovenDocument`.",
        context: { cvm, appId, hashes },
      },
    );
  }
}

export class RevisionRefusedError extends UpdateError {
  override readonly name = "RevisionRefusedError";
  constructor(revision: string, objections: readonly RemovalObjection[]) {
    super(`The CVM is not rolled back to revision ${revision}:`, {
      items: describeObjections(objections),
      nextStep: `Nothing was changed. Choose another revision. If this one is right, pass \`accepted: ${namesOf(objections)}\`.`,
      context: { revision, objections },
    });
  }
}

export class RevisionNotReproducibleError extends UpdateError {
  override readonly name = "RevisionNotReproducibleError";
  /** @param fields by which the documents would still differ; empty if only the form of the text does */
  constructor(revision: string, fields: readonly string[]) {
    const why =
      fields.length === 0
        ? "The cloud would write the same document in another form, with another hash."
        : `An update cannot set ${fields.join(", ")}.`;
    super(`An update cannot make the document of revision ${revision}. ${why}`, {
      nextStep:
        "Nothing was changed. Update with the compose file of that revision (`dockerCompose`), and allow the new hash.",
      context: { revision, fields },
    });
  }
}

export class SignerRequiredError extends UpdateError {
  override readonly name = "SignerRequiredError";
  /** @param options.ownerKind set if the owner is a contract, so that no key can sign for it */
  constructor(steps: readonly string[], { ownerKind }: { readonly ownerKind?: ContractOwnerKind | undefined } = {}) {
    super(`No signer was given for ${steps.join(" and ")}.`, {
      nextStep: ownerKind === undefined ? "Give the key of the owner: `account`." : nextSteps[ownerKind],
      context: { steps, ...(ownerKind !== undefined && { ownerKind }) },
    });
  }
}

/** A hash or a device that prepared updates need, and that the app does not allow. */
export interface MissingRegistration {
  readonly functionName: "addComposeHash" | "addDevice";
  /** The compose hash or the device. */
  readonly value: string;
  /** The CVMs whose updates need it, each with its name and id. */
  readonly cvms: readonly string[];
}

export class RegistrationMissingError extends UpdateError {
  override readonly name = "RegistrationMissingError";
  constructor(appId: string, missing: readonly MissingRegistration[]) {
    const words = { addComposeHash: "compose hash", addDevice: "device" } as const;
    const calls = missing.map(({ functionName, value }) =>
      functionName === "addDevice" ? `\`addDevice: ${value} on ${appId}\`` : `\`addComposeHash: ${value} on ${appId}\``,
    );
    super(`App ${appId} does not allow what the prepared update needs:`, {
      items: missing.map(
        ({ functionName, value, cvms }) => `The update of ${cvms.join(", ")} needs ${words[functionName]} ${value}.`,
      ),
      nextStep: `Nothing was committed. Let the owner of the app allow it: ${calls.join("; ")}. Then commit again.`,
      context: { appId, missing },
    });
  }
}

export interface OvertakenUpdate {
  /** Its name and id. */
  readonly cvm: string;
  /** The hash that the CVM has now, as the cloud names it. */
  readonly running: string | undefined;
  /** What it ran when the update was prepared. */
  readonly previous: string;
  readonly planned: string;
  /** Lines that lead from the present document to the approved one. */
  readonly difference: readonly string[];
}

export class UpdateOvertakenError extends UpdateError {
  override readonly name = "UpdateOvertakenError";
  constructor(details: OvertakenUpdate) {
    const { cvm, running, previous, planned } = details;
    const present = running === undefined ? "a compose hash that the cloud does not show" : `compose hash ${running}`;
    super(
      `${cvm} has ${present}, but its update to ${planned} was prepared when it had ${previous}. Another update came between.`,
      {
        nextStep: "Nothing was committed. Prepare the update again if it is still wanted.",
        context: { ...details },
      },
    );
  }
}

export interface ChangedHash {
  /** Its name and id. */
  readonly cvm: string;
  /** What the owners allowed. */
  readonly approved: string;
  readonly fromCloud: string;
  /** Lines that lead from the approved document to the one that the change gives now, or why the hashes differ. */
  readonly difference: readonly string[];
}

export class ApprovedHashChangedError extends UpdateError {
  override readonly name = "ApprovedHashChangedError";
  constructor(details: ChangedHash) {
    super(
      `The update of ${details.cvm} was prepared again. The cloud now asks for compose hash ${details.fromCloud}, but the owners allowed ${details.approved}.`,
      {
        nextStep: "Nothing was committed. Compare both documents. If the new one is right, prepare a new plan for it.",
        context: { ...details },
      },
    );
  }
}

export interface StoppedRollout {
  /** The CVMs that run the new compose. */
  readonly done: readonly string[];
  readonly failed: string;
  /** The CVMs that were not touched. */
  readonly left: readonly string[];
}

export class RollingUpdateStoppedError extends UpdateError {
  override readonly name = "RollingUpdateStoppedError";
  constructor(rollout: StoppedRollout, cause: DstackError) {
    const { done, failed, left } = rollout;
    const list = (names: readonly string[]) => names.join(", ") || "none";
    super(
      `The rolling update stopped at ${failed}: ${cause.message.replace(/\.+$/, "")}. Updated: ${list(done)}. Not touched: ${list(left)}.`,
      {
        nextStep: `${cause.nextStep ?? "Remove the cause."} The same command then goes on with ${failed}.`,
        context: { ...rollout, cause: cause.toJSON() },
        cause,
        retryable: cause.retryable,
      },
    );
  }
}
