import type { Address } from "viem";
import { getCvm } from "../../cloud/get-cvm.ts";
import type { ConnectedApp } from "./connect-app.ts";
import { requireDstackKms } from "./require-dstack-kms.ts";
import { type KmsArguments, requireKms, resolveKms } from "./resolve-kms.ts";

/** The KMS of an app; where nothing else names it, the cloud is asked for its CVM's. @throws InvalidArgumentError, CloudError */
export async function findKms(args: KmsArguments, app: ConnectedApp): Promise<Address> {
  const kms = requireKms(resolveKms(args, app) ?? (await kmsOfCvm(app)));
  await requireDstackKms(app.client, kms);
  return kms;
}

async function kmsOfCvm({ cvm, cloud }: ConnectedApp): Promise<Address | undefined> {
  return cvm === undefined || cloud === undefined ? undefined : (await getCvm(cloud, { cvm })).kmsContractAddress;
}
