import { CloudProtocolError } from "../errors/index.ts";
import type { CloudClient } from "./create-client.ts";
import { type PatchAccepted, type PatchCvmParameters, type RegistrationRequired, requestPatch } from "./patch-cvm.ts";
import { headerNames } from "./protocol.ts";
import { apiPath, safe } from "./replies.ts";

/** An update that the cloud keeps until someone commits it with its token. */
export interface PreparedCvmUpdate extends RegistrationRequired {
  /** Authorises the commit, once. Any client that has it can commit the update. A later preparation makes it worthless. */
  readonly token: string;
}

export type PrepareOutcome = PatchAccepted | PreparedCvmUpdate;

/**
 * Requests an update that `commitCvmUpdate` applies later, after the owners have allowed its hash. The running CVM does
 * not change. But if no hash has to be allowed, as for a change of the environment alone, the cloud applies the change
 * at once and returns `accepted`.
 *
 * @throws CloudError
 *
 * @example
 * import { prepareCvmUpdate } from "dstack-toolkit/cloud";
 * import { cloud, dockerCompose } from "./app.js";
 * const outcome = await prepareCvmUpdate(cloud, { cvm: "my-app", dockerCompose });
 * if (outcome.kind === "registrationRequired") console.log(outcome.composeHash);
 */
export async function prepareCvmUpdate(client: CloudClient, parameters: PatchCvmParameters): Promise<PrepareOutcome> {
  const outcome = await requestPatch(client, parameters, { [headerNames.prepareOnly]: "true" });
  if (outcome.kind === "accepted") return outcome;
  const { commitToken: token } = outcome;
  if (token !== undefined) return { ...outcome, token };
  const path = apiPath`/cvms/${parameters.cvm}`;
  throw new CloudProtocolError("PATCH", path, "it asks to register a hash, but names no token to commit with");
}

export const safePrepareCvmUpdate = safe(prepareCvmUpdate);
