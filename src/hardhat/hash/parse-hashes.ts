import { type ComposeHash, parseComposeHash } from "../../core/ids.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { lintInputs } from "../lint/lint-inputs.ts";

/** Compose hashes of a command line, at least one. @throws InvalidArgumentError, LintRefusedError, InvalidHexError */
export function parseHashes(raw: readonly string[]): readonly ComposeHash[] {
  if (raw.length === 0) {
    throw new InvalidArgumentError("No compose hash was given.", {
      nextStep: "Give one or more; npx hardhat dstack hash FILE computes them.",
    });
  }
  lintInputs("The compose hash", raw);
  return raw.map((text) => parseComposeHash(text.trim()));
}
