import { CloudProtocolError } from "../../errors/index.ts";
import type { PatchAnswer } from "../ports.ts";
import { during, type UpdateRun, type UpdateTarget } from "../update-run.ts";
import { allowedEnvsOf } from "./build-document.ts";

/** Phase 1: costs nothing, so every rerun does it again and what the cloud keeps is what was asked for last. */
export function patch(
  run: UpdateRun,
  target: UpdateTarget,
  encryptedEnvironment: string | undefined,
): Promise<PatchAnswer> {
  const { cvm, dockerCompose, preLaunchScript, publicLogs, publicSysinfo, publicTcbinfo } = run.request;
  const draft = {
    dockerCompose,
    preLaunchScript,
    allowedEnvs: allowedEnvsOf(run.request),
    publicLogs,
    publicSysinfo,
    publicTcbinfo,
    encryptedEnvironment,
  };
  return during(
    run,
    "patch",
    async () => requireSameApp(await run.cloud.patch(cvm, draft), target, cvm),
    (answer) =>
      answer.kind === "accepted"
        ? { answer: answer.kind, correlationId: answer.correlationId }
        : { answer: answer.kind, composeHash: answer.composeHash, deviceId: answer.deviceId },
  );
}

/** A hash allowed on another contract is money spent for nothing. */
function requireSameApp(answer: PatchAnswer, { appId, chainId }: UpdateTarget, cvm: string): PatchAnswer {
  if (answer.kind === "accepted") return answer;
  if (chainId === undefined) {
    const problem = "it asks to register a hash for a CVM that has no contract, as an earlier answer said";
    throw new CloudProtocolError("PATCH", `/cvms/${cvm}`, problem);
  }
  const isOtherChain = answer.chainId !== undefined && answer.chainId !== chainId;
  if (answer.appId === appId && !isOtherChain) return answer;
  const asked = `${answer.appId} on chain ${answer.chainId}`;
  throw new CloudProtocolError(
    "PATCH",
    `/cvms/${cvm}`,
    `it asks to register the hash with ${asked}, not the CVM's app`,
  );
}
