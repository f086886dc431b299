import type { Address } from "viem";
import { getCvm } from "../../cloud/get-cvm.ts";
import type { ConnectedApp } from "./connect-app.ts";
import { type KmsArguments, requireKms, resolveKms } from "./resolve-kms.ts";

/** The KMS of an app; where nothing else names it, the cloud is asked for its CVM's. @throws InvalidArgumentError, CloudError */
export async function findKms(args: KmsArguments, app: ConnectedApp): Promise<Address> {
  const named = resolveKms(args, app);
  if (named !== undefined || app.cvm === undefined || app.cloud === undefined) return requireKms(named);
  const { kmsContractAddress } = await getCvm(app.cloud, { cvm: app.cvm });
  return requireKms(kmsContractAddress);
}
