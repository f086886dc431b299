import type { LintRule } from "../lint-rule.ts";
import { listValues } from "../values.ts";

/** Digests of the empty text: what a pipeline yields when the file or command before it gave nothing. */
const ofNothing: Readonly<Record<string, string>> = {
  "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "SHA-256",
  "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470": "Keccak-256",
  "0xa7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a": "SHA3-256",
  "0x38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da": "cut SHA-384",
};

export const hashOfNothing: LintRule = {
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
              message: `The ${what} ${value} is the ${algorithm} of nothing.`,
              advice: "Look at the command that computed it: its input was empty.",
              severity: isNew ? "error" : "warning",
            },
          ];
    }),
};
