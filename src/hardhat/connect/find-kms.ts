import type { Address } from "viem";
import { getCvm } from "../../cloud/get-cvm.ts";
import type { Generation } from "../../core/generation.ts";
import type { ConnectedApp } from "./connect-app.ts";
import { requireDstackKms } from "./require-dstack-kms.ts";
import { type KmsArguments, requireKms, resolveKms } from "./resolve-kms.ts";

export interface FoundKms {
  readonly kms: Address;
  readonly generation: Generation;
}

/** The KMS of an app; where nothing else names it, the cloud is asked for its CVM's. @throws InvalidArgumentError, CloudError */
export async function findKms(args: KmsArguments, app: ConnectedApp): Promise<FoundKms> {
  const kms = requireKms(resolveKms(args, app) ?? (await kmsOfCvm(app)));
  return { kms, generation: await requireDstackKms(app.client, kms) };
}

async function kmsOfCvm({ cvm, cloud }: ConnectedApp): Promise<Address | undefined> {
  return cvm === undefined || cloud === undefined ? undefined : (await getCvm(cloud, { cvm })).kmsContractAddress;
}
