import { DstackError, type DstackErrorOptions, describeObjections, namesOf, type RemovalObjection } from "./base.ts";

abstract class InputError extends DstackError {
  readonly family = "input";
}

export class InvalidHexError extends InputError {
  override readonly name = "InvalidHexError";
  /** @param isChecksum whether only the checksum of an address is wrong (EIP-55) */
  constructor(what: string, raw: string, expectedBytes: number, { isChecksum = false } = {}) {
    super(
      isChecksum
        ? `${what} ${raw} has a wrong checksum: a digit or the case of a letter is wrong.`
        : `${what} must be ${expectedBytes} bytes of hex (${expectedBytes * 2} digits), got ${describe(raw)}.`,
      {
        nextStep: isChecksum
          ? "Copy the address again from its source. An address in lower case has no checksum."
          : "Copy the whole value again. This package neither pads nor cuts a value.",
        context: { what, length: raw.length, expectedBytes, ...(isChecksum && { isChecksum }) },
      },
    );
  }
}

export class InvalidAppComposeError extends InputError {
  override readonly name = "InvalidAppComposeError";
}

export class PayloadTooLargeError extends InputError {
  override readonly name = "PayloadTooLargeError";
  constructor(actualBytes: number, limitBytes: number) {
    super(`Compose file and pre-launch script have ${actualBytes} bytes together; the limit is ${limitBytes}.`, {
      nextStep: "Move data out of the compose file, for example into an image.",
      context: { actualBytes, limitBytes },
    });
  }
}

export class InvalidEnvironmentError extends InputError {
  override readonly name = "InvalidEnvironmentError";
}

export class EnvironmentDecryptionError extends InputError {
  override readonly name = "EnvironmentDecryptionError";
}

export class UntrustedEncryptionKeyError extends InputError {
  override readonly name = "UntrustedEncryptionKeyError";
  constructor(options: Omit<DstackErrorOptions, "nextStep"> = {}) {
    super("The expected KMS key did not sign the encryption key of the app.", {
      ...options,
      nextStep: "Do not send secrets. Check the API address and the public key of the KMS that you expect.",
    });
  }
}

export class UnprovenEncryptionKeyError extends InputError {
  override readonly name = "UnprovenEncryptionKeyError";
  /**
   * @param reason what is missing, as the end of a sentence
   * @param context with `missing: "app"` if the caller did not name the app
   */
  constructor(reason: string, context: Readonly<Record<string, unknown>> = {}) {
    const way =
      context.missing === "app"
        ? "Name the app with `appId`, or name the CVM by its app id (app_…), which also works for a CVM without a contract."
        : "Name the DstackKms that you trust with `kms`, or pin its public key with `expectedKmsPublicKey`.";
    super(`No trusted KMS has signed the key that would encrypt the environment: ${reason}.`, {
      nextStep: `Nothing was requested and no secret was sent. ${way} To trust the cloud alone, pass \`acceptUnprovenKey\`.`,
      context: { reason, ...context },
    });
  }
}

export class InvalidArgumentError extends InputError {
  override readonly name = "InvalidArgumentError";
}

export class MissingPackageError extends InputError {
  override readonly name = "MissingPackageError";
  /** @param release the one that is needed. Default: the newest one that fits the peer dependency */
  constructor(entry: string, packageName: string, release?: string) {
    const wanted = release === undefined ? packageName : `${packageName}@${release}`;
    super(`${entry} needs the package ${packageName}, which is not installed.`, {
      nextStep: `Install it: npm install -D ${wanted}`,
      context: { entry, packageName },
    });
  }
}

export class UnusableFileError extends InputError {
  override readonly name = "UnusableFileError";
  /** @param problem the end of the sentence "… cannot be used: …" */
  constructor(path: string, problem: string, options: Pick<DstackErrorOptions, "nextStep" | "cause"> = {}) {
    super(`${path} cannot be used: ${problem}.`, {
      nextStep: "Look at the file, then name another file.",
      ...options,
      context: { path, problem },
    });
  }
}

export interface LintRefusedFinding {
  readonly rule: string;
  readonly message: string;
  readonly advice: string;
}

export class LintRefusedError extends InputError {
  override readonly name = "LintRefusedError";
  constructor(findings: readonly LintRefusedFinding[], { canAccept = true }: { readonly canAccept?: boolean } = {}) {
    const rules = [...new Set(findings.map(({ rule }) => rule))];
    const sentences = findings.map(({ message, rule }) => `${message} (${rule})`);
    const [only = "", ...others] = sentences;
    super(others.length === 0 ? only : "The linter found errors:", {
      items: others.length === 0 ? [] : sentences,
      nextStep: canAccept
        ? `Nothing was sent. ${findings[0]?.advice ?? ""} To override this, pass \`accepted: ${rules.join(",")}\`.`
        : findings[0]?.advice,
      context: { findings },
    });
  }
}

export class HashNeededError extends InputError {
  override readonly name = "HashNeededError";
  constructor(objections: readonly RemovalObjection[]) {
    super("The removal is refused:", {
      items: describeObjections(objections),
      nextStep: `Nothing was sent. First update or delete what needs the hash. To override this, pass \`accepted: ${namesOf(objections)}\`.`,
      context: { objections },
    });
  }
}

export class DeviceNeededError extends InputError {
  override readonly name = "DeviceNeededError";
  constructor(objections: readonly RemovalObjection[]) {
    super("The change is refused:", {
      items: describeObjections(objections),
      nextStep: `Nothing was sent. First move or delete the CVMs on the device. To override this, pass \`accepted: ${namesOf(objections)}\`.`,
      context: { objections },
    });
  }
}

export interface RefusedUpgrade {
  readonly rule: string;
  readonly problem: string;
  /** The name that overrides it. Undefined if nothing does. */
  readonly acceptAs?: string | undefined;
}

export class UpgradeRefusedError extends InputError {
  override readonly name = "UpgradeRefusedError";
  constructor(objections: readonly RefusedUpgrade[]) {
    const names = objections.flatMap(({ acceptAs }) => acceptAs ?? []);
    const way =
      names.length === objections.length
        ? `To override this, pass \`accepted: ${[...new Set(names)].join(",")}\`.`
        : "Use another implementation, or correct this one.";
    super(objections.map(({ problem, rule }) => `${problem} (${rule})`).join(" "), {
      nextStep: `Nothing was sent. ${way}`,
      context: { objections },
    });
  }
}

export interface KeyEpochsDetails {
  readonly role: string;
  readonly address: string;
  /** Its name in the table of generations. */
  readonly generation: string;
  readonly releases: string;
  /** Null if not known. */
  readonly hasKeyEpochs: boolean | null;
}

export class KeyEpochsError extends InputError {
  override readonly name = "KeyEpochsError";
  constructor(contracts: readonly KeyEpochsDetails[]) {
    super(contracts.map(describeEpochs).join(" "), {
      nextStep:
        "Nothing was sent. Use the tools of that release. To continue with app epoch 0 alone, pass `acceptKeyEpochs`.",
      context: { contracts },
    });
  }
}

function describeEpochs({ role, address, releases, hasKeyEpochs }: KeyEpochsDetails): string {
  return hasKeyEpochs
    ? `The ${role} ${address} is of release ${releases}, which approves per key epoch. This package reads and changes only app epoch 0, which may not be the epoch that governs.`
    : `The release of the ${role} ${address} is not known, and it may approve per key epoch. The lists that this package reads and changes may not be those that govern.`;
}

/** Quotes only values that are too short to be a secret, so that a pasted private key never appears in a message. */
function describe(raw: string): string {
  return raw.length <= 12 ? `"${raw}"` : `${raw.length} characters`;
}
