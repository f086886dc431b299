import "../type-extensions.ts";
import type { HardhatConfig } from "hardhat/types/config";
import type { Address } from "viem";
import { parseAddress } from "../../chain/client.ts";
import { InvalidArgumentError } from "../../errors/index.ts";

export interface KmsArguments {
  readonly kms?: string | undefined;
}

/** Where else a KMS may be known from. */
export interface KmsSources {
  /** Of the configuration. */
  readonly configuredKms?: Address | undefined;
  /** As the cloud states it of a CVM: anyone can deploy a KMS, so it counts only where the user names none. */
  readonly kms?: Address | undefined;
}

/** The DstackKms a command is about: `--kms`, the configuration's, or else the CVM's. @throws InvalidHexError */
export function resolveKms(args: KmsArguments, { kms, configuredKms }: KmsSources): Address | undefined {
  return args.kms === undefined ? (configuredKms ?? kms) : parseAddress("The KMS address", args.kms);
}

/** The DstackKms of the configuration, if it has one. @throws InvalidHexError */
export async function readConfiguredKms({ dstack }: HardhatConfig): Promise<Address | undefined> {
  const kms = (await dstack.kms.get()).trim();
  return kms === "" ? undefined : parseAddress("The KMS address (dstack.kms or DSTACK_KMS)", kms);
}

/** @throws InvalidArgumentError */
export function requireKms(kms: Address | undefined): Address {
  if (kms !== undefined) return kms;
  throw new InvalidArgumentError("No KMS was named.", {
    nextStep: "Give --kms 0x…, or dstack.kms or DSTACK_KMS in the configuration; with --cvm the cloud names it.",
  });
}
