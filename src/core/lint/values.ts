import type { Hex } from "../hex.ts";
import type { LintSubject } from "./lint-subject.ts";

export interface LintValue {
  readonly value: Hex;
  /** As a person would call it: "compose hash". */
  readonly what: string;
  /** Whether it is about to be added, or is on a list already. */
  readonly isNew: boolean;
}

const kinds: Readonly<Record<string, string>> = {
  addComposeHash: "compose hash",
  addDevice: "device id",
  addOsImageHash: "OS image hash",
  addKmsAggregatedMr: "KMS measurement",
  addKmsDevice: "KMS device id",
};

/** Every 32-byte value that is, or is to be, allowed. */
export function listValues({ app, calls = [] }: LintSubject): readonly LintValue[] {
  const { composeHashes = [], devices = [] } = app?.policy ?? {};
  const listed = (what: string) => (value: Hex) => ({ value, what, isNew: false });
  const added = calls.flatMap(({ functionName, args: [value] }): LintValue[] => {
    const what = kinds[functionName];
    return what === undefined || typeof value !== "string" ? [] : [{ value: value as Hex, what, isNew: true }]; // calls hold hex
  });
  return [...composeHashes.map(listed("compose hash")), ...devices.map(listed("device id")), ...added];
}
