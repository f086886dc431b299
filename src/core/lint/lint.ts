import { LintRefusedError } from "../../errors/index.ts";
import type { Hex } from "../ids.ts";
import {
  anyDevice,
  appIsKms,
  cannotFollowRotation,
  cvmWouldNotBoot,
  devicesWithoutEffect,
  eoaOwner,
  generationsDiffer,
  guestTooOld,
  implementationDrift,
  noCode,
  nothingBoots,
  oneStepOwner,
  ownerCannotSign,
  pendingOwner,
  removeDeviceWithoutEffect,
  upgradeLosesPolicy,
} from "./app-rules.ts";
import {
  builtOnCvm,
  commandFromVariable,
  engineSocket,
  imageFromVariable,
  mountedProgram,
  mutableImage,
  otherFile,
  providerProgram,
  unreadableCompose,
  unsetVariable,
} from "./compose-rules.ts";
import type { LintRule, LintSeverity, LintSubject } from "./rule.ts";

/**
 * Returns normally if no finding is an error, or if the rule of every error is accepted by name.
 *
 * @throws LintRefusedError
 */
export function requireClean(findings: readonly LintFinding[], accepted: ReadonlySet<string> = new Set()): void {
  const errors = findings.filter(({ rule, severity }) => severity === "error" && !accepted.has(rule));
  if (errors.length > 0) throw new LintRefusedError(errors, { canAccept: !errors.some(isFinal) });
}

function isFinal({ rule }: LintFinding): boolean {
  return lintRules.some(({ name, isFinal = false }) => name === rule && isFinal);
}

export interface LintFinding {
  /** Name of the rule. */
  readonly rule: string;
  readonly severity: LintSeverity;
  /** One sentence. */
  readonly message: string;
  /** What to do about it, as one sentence. */
  readonly advice: string;
}

const order: readonly LintSeverity[] = ["error", "warning", "note"];

/**
 * Checks an app, a document and the calls to be sent. Returns the findings, errors first.
 *
 * @example
 * import { lintApp } from "dstack-toolkit";
 * import { document } from "./app.js";
 * for (const { rule, message, advice } of lintApp({ document })) console.log(rule, message, advice);
 */
export function lintApp(subject: LintSubject): readonly LintFinding[] {
  const findings = lintRules.flatMap(({ name, severity, check }) =>
    check(subject).map((problem) => ({ rule: name, severity, ...withoutUndefined(problem) })),
  );
  return findings.toSorted((one, other) => order.indexOf(one.severity) - order.indexOf(other.severity));
}

function withoutUndefined({ severity, ...problem }: ReturnType<(typeof lintRules)[number]["check"]>[number]) {
  return severity === undefined ? problem : { ...problem, severity };
}

// Rules about the values that are allowed or will be allowed.

interface LintValue {
  readonly value: Hex;
  /** Name for messages: "compose hash". */
  readonly what: string;
  /** True if a call will add it; false if it is already on a list. */
  readonly isNew: boolean;
}

const kinds: Readonly<Record<string, string>> = {
  addComposeHash: "compose hash",
  addDevice: "device id",
  addOsImageHash: "OS image hash",
  addKmsAggregatedMr: "KMS measurement",
  addKmsDevice: "KMS device id",
};

/** Returns every 32-byte value that is allowed or will be allowed. */
function listValues({ app, calls = [] }: LintSubject): readonly LintValue[] {
  const { composeHashes = [], devices = [] } = app?.policy ?? {};
  const listed = (what: string) => (value: Hex) => ({ value, what, isNew: false });
  const added = calls.flatMap(({ functionName, args: [value] }): LintValue[] => {
    const what = kinds[functionName];
    return what === undefined || typeof value !== "string" ? [] : [{ value: value as Hex, what, isNew: true }]; // calls hold hex
  });
  return [...composeHashes.map(listed("compose hash")), ...devices.map(listed("device id")), ...added];
}

const zeroValue: LintRule = {
  name: "zero-value",
  severity: "error",
  summary: "A hash or device id is zero, so it was probably missing.",
  check: (subject) =>
    listValues(subject)
      .filter(({ value }) => BigInt(value) === 0n)
      .map(({ what, isNew }) => ({
        message: `The ${what} is zero.`,
        advice: isNew ? "Check where the value comes from." : "Remove it: no real document or device has this value.",
        severity: isNew ? "error" : "warning",
      })),
};

/** Eight zero bytes at one end: by chance once in 2^63 hashes. */
const padding = /^0x(?:0{16}|.*0{16}$)/;

const shortValue: LintRule = {
  name: "short-value",
  severity: "error",
  summary: "A hash or device id is a shorter value that was padded with zeros.",
  check: (subject) =>
    listValues(subject)
      .filter(({ value }) => padding.test(value) && BigInt(value) !== 0n)
      .map(({ value, what, isNew }) => ({
        message: `The ${what} ${value} looks like a shorter value that was padded with zeros.`,
        advice: "Give all 32 bytes: no device reports a shorter value.",
        severity: isNew ? "error" : "warning",
      })),
};

/** Digests of the empty text. A pipeline produces them if the file or command before it was empty. */
const ofNothing: Readonly<Record<string, string>> = {
  "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "SHA-256",
  "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470": "Keccak-256",
  "0xa7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a": "SHA3-256",
  "0x38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da": "cut SHA-384",
};

const hashOfNothing: LintRule = {
  name: "hash-of-nothing",
  severity: "error",
  summary: "A hash or device id is the digest of an empty text.",
  check: (subject) =>
    listValues(subject).flatMap(({ value, what, isNew }) => {
      const algorithm = ofNothing[value.toLowerCase()];
      return algorithm === undefined
        ? []
        : [
            {
              message: `The ${what} ${value} is the ${algorithm} of an empty input.`,
              advice: "Check the command that computed it: its input was empty.",
              severity: isNew ? "error" : "warning",
            },
          ];
    }),
};

const sha384Value: LintRule = {
  name: "sha384-value",
  severity: "error",
  isFinal: true,
  summary: "A value has 48 bytes, like an MRTD or an RTMR, but the contracts use 32-byte values.",
  check: ({ inputs = [] }) =>
    inputs
      .filter(({ text }) => /^(?:0x)?[0-9a-f]{96}$/i.test(text.trim()))
      .map(({ what }) => ({
        message: `${what} has 48 bytes: a SHA-384, such as an MRTD or an RTMR.`,
        advice: "Give the 32-byte SHA-256. A shortened SHA-384 is another value.",
      })),
};

/** Every rule of the linter. docs/operator.md lists the same rows. */
export const lintRules: readonly LintRule[] = [
  noCode,
  appIsKms,
  ownerCannotSign,
  upgradeLosesPolicy,
  removeDeviceWithoutEffect,
  hashOfNothing,
  zeroValue,
  shortValue,
  sha384Value,
  unreadableCompose,
  imageFromVariable,
  mutableImage,
  builtOnCvm,
  otherFile,
  providerProgram,
  mountedProgram,
  commandFromVariable,
  unsetVariable,
  implementationDrift,
  nothingBoots,
  cvmWouldNotBoot,
  anyDevice,
  generationsDiffer,
  devicesWithoutEffect,
  cannotFollowRotation,
  guestTooOld,
  engineSocket,
  eoaOwner,
  oneStepOwner,
  pendingOwner,
];
