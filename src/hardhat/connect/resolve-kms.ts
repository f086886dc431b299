import type { Address } from "viem";
import { parseAddress } from "../../chain/parse-address.ts";
import { InvalidArgumentError } from "../../errors/index.ts";

export interface KmsArguments {
  readonly kms?: string | undefined;
}

/** Where else a KMS may be known from. */
export interface KmsSources {
  /** As the cloud states it of a CVM. */
  readonly kms?: Address | undefined;
  /** Of the configuration. */
  readonly configuredKms?: Address | undefined;
}

/** The DstackKms a command is about: `--kms`, the CVM's, or the configuration's. @throws InvalidHexError */
export function resolveKms(args: KmsArguments, { kms, configuredKms }: KmsSources): Address | undefined {
  return args.kms === undefined ? (kms ?? configuredKms) : parseAddress("The KMS address", args.kms);
}

/** @throws InvalidArgumentError */
export function requireKms(kms: Address | undefined): Address {
  if (kms !== undefined) return kms;
  throw new InvalidArgumentError("No KMS was named.", {
    nextStep: "Give --kms 0x…, or dstack.kms in the configuration; with --cvm the cloud names it.",
  });
}
