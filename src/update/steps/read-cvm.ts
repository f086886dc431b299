import { poll } from "../../core/retry.ts";
import { CloudProtocolError, RolloverTimeoutError } from "../../errors/index.ts";
import { type UpdateRun, type UpdateTarget, withStep } from "../run.ts";
import { requireTarget } from "../trust.ts";
import { watchFinality } from "./watch-finality.ts";

/**
 * Waits until the CVM is idle and reads it. The cloud refuses an update while another operation runs.
 *
 * @throws CvmNotFoundError, RolloverTimeoutError, InvalidArgumentError, KmsDowngradeError
 */
export function readCvm(run: UpdateRun): Promise<UpdateTarget> {
  return withStep(
    run,
    "readCvm",
    () => waitUntilAtRest(run),
    ({ status, composeHash, appId, chainId }) => ({
      status,
      composeHash,
      appId,
      chainId,
    }),
  );
}

export async function waitUntilAtRest(run: UpdateRun): Promise<UpdateTarget> {
  const { cvm: name } = run.request;
  const { pollCloudMs, timeouts } = run.settings;
  let latest = await run.cloud.readCvm(name);
  if (latest.busy) {
    const finality = watchFinality(run);
    latest = await poll(
      run,
      {
        everyMs: pollCloudMs,
        timeoutMs: () => timeouts.settleMs + finality.waitedMs,
        onTimeout: (waitedMs) => new RolloverTimeoutError(name, latest.status, waitedMs, latest.operationId),
      },
      async () => {
        latest = await run.cloud.readCvm(name);
        if (!latest.busy) return latest;
        await finality.look(latest);
        return undefined;
      },
    );
  }
  const { appId } = latest;
  if (appId === undefined) throw new CloudProtocolError("GET", `/cvms/${name}`, "the CVM has no app id");
  return requireTarget(run, { ...latest, appId, key: keyOf(latest) });
}

/** The UUID identifies the CVM in every API version. The form of the id depends on the version. */
function keyOf({ vmUuid, id }: { readonly vmUuid: string | undefined; readonly id: string }): string {
  return vmUuid?.replaceAll("-", "").toLowerCase() ?? id;
}
