import { type ContractOwnerKind, DstackError, type DstackErrorOptions, nextSteps } from "./base.ts";

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
      `The cloud wants hash ${details.fromCloud} allowed, but the document asked for has ${details.expected}: ${details.explanation}.`,
      {
        nextStep:
          "Nothing was paid. Review the difference; accept it explicitly (acceptHashMismatch) only if it is wanted.",
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
        "The update is confirmed and paid. Run the same command again to go on waiting; quote the correlation id in a ticket.",
      context: { cvm, status, waitedMs, correlationId },
    });
  }
}

export class RolloverFailedError extends UpdateError {
  override readonly name = "RolloverFailedError";
  constructor(cvm: string, reason: string, correlationId: string | undefined) {
    super(`CVM ${cvm} did not boot the new compose: ${reason.replace(/\.+$/, "")}.`, {
      nextStep:
        "The CVM runs its previous compose. Cure the reason (device, OS image, registration), then update again.",
      context: { cvm, reason, correlationId },
    });
  }
}

export class JournalCorruptError extends UpdateError {
  override readonly name = "JournalCorruptError";
  /** @param options.problem what the line gets wrong, as the end of a sentence */
  constructor(
    path: string,
    line: number,
    { cause, problem }: Pick<DstackErrorOptions, "cause"> & { readonly problem?: string | undefined } = {},
  ) {
    super(`Line ${line} of the journal ${path} cannot be ${problem === undefined ? "read" : `believed: ${problem}`}.`, {
      cause,
      nextStep:
        "Keep the file: it says which transactions were sent. Repair the line, or check the chain before you delete it.",
      context: { path, line, ...(problem !== undefined && { problem }) },
    });
  }
}

/** The process that holds a journal's lock, as read from the name of its file in the lock's folder. */
export interface JournalHolder {
  /** Name of its machine. */
  readonly host: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly lockFile: string;
  /** Whether it runs on this machine. This process then checked that it is alive. */
  readonly isLocal: boolean;
}

export class JournalLockedError extends UpdateError {
  override readonly name = "JournalLockedError";
  constructor(path: string, holder?: JournalHolder) {
    super(
      `Another process${holder === undefined ? "" : ` (${describeHolder(holder)})`} is using the journal ${path}.`,
      {
        nextStep:
          holder === undefined
            ? "Wait for it to end. A journal of its own helps only a run about another app or CVM."
            : `Wait for it to end. If no process of this package has that number${holder.isLocal ? "" : " on that machine"} any more, delete ${holder.lockFile}.`,
        context: { path, ...holder, ...(holder && { since: describeTime(holder.since) }) },
      },
    );
  }
}

function describeHolder({ pid, host, since, isLocal }: JournalHolder): string {
  return `${pid}${isLocal ? "" : ` on ${host}`}, since ${describeTime(since)}`;
}

/** Formats a time from a file's name, which can contain any number. */
function describeTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? "an unknown time" : time.toISOString();
}

export class UnexpectedDeviceError extends UpdateError {
  override readonly name = "UnexpectedDeviceError";
  constructor(cvm: string, deviceId: string, allowed: readonly string[]) {
    const instead = allowed.length === 0 ? "no device may be allowed" : `only ${allowed.join(", ")} may be allowed`;
    super(`The cloud names device ${deviceId} for ${cvm}, and ${instead}.`, {
      nextStep:
        "Nothing was paid. If you know the device and trust it, add it to devices (in tasks apps.NAME.devices or --allow-device).",
      context: { cvm, deviceId, allowed },
    });
  }
}

export class UnprovenDocumentError extends UpdateError {
  override readonly name = "UnprovenDocumentError";
  constructor(cvm: string, appId: string, hashes: readonly string[]) {
    super(
      `The cloud names a document for ${cvm} that app ${appId} does not allow in any official form. What the update leaves as it is would come from there.`,
      {
        nextStep:
          "Nothing was paid. Compare the cloud's document with the one you deployed: the API's compose_file has it, and dstack hash FILE --cvm NAME names the differences. If it is right (its hash was removed, for example): acceptUnprovenDocument, in tasks --accept unproven-document.",
        context: { cvm, appId, hashes },
      },
    );
  }
}

export class SignerRequiredError extends UpdateError {
  override readonly name = "SignerRequiredError";
  /** @param options.ownerKind set if the owner is a contract, so that no key can sign for it */
  constructor(steps: readonly string[], { ownerKind }: { readonly ownerKind?: ContractOwnerKind | undefined } = {}) {
    super(`No signer was given for ${steps.join(" and ")}.`, {
      nextStep:
        ownerKind === undefined
          ? "Pass the owner's account, or set DSTACK_OWNER_KEY in the environment or the Hardhat keystore."
          : nextSteps[ownerKind],
      context: { steps, ...(ownerKind !== undefined && { ownerKind }) },
    });
  }
}
