import { type AppCompose, changeAppCompose } from "../../core/app-compose.ts";
import { computeComposeHash, writeAppCompose } from "../../core/compose-hash.ts";
import type { ComposeHash } from "../../core/ids.ts";
import { during, type UpdateRequest, type UpdateRun, type UpdateTarget } from "../update-run.ts";

export interface RequestedDocument {
  /** The cloud may have put it in place of the manifest's. */
  readonly cvmName: string;
  /** In force now. */
  readonly current: AppCompose;
  readonly requested: AppCompose;
  /** Of the requested document, computed here and not taken from anybody. */
  readonly composeHash: ComposeHash;
  readonly isUnchanged: boolean;
}

/** @throws InvalidAppComposeError, PayloadTooLargeError, InvalidEnvironmentError */
export function buildDocument(run: UpdateRun, { name }: UpdateTarget): Promise<RequestedDocument> {
  return during(
    run,
    "buildDocument",
    () => build(run, name),
    ({ composeHash, isUnchanged }) => ({ composeHash, isUnchanged }),
  );
}

async function build({ cloud, request }: UpdateRun, cvmName: string): Promise<RequestedDocument> {
  const current = await cloud.readAppCompose(request.cvm);
  const requested = changeAppCompose(current, { ...request, allowedEnvs: allowedEnvsOf(request) });
  return {
    cvmName,
    current,
    requested,
    composeHash: computeComposeHash(requested),
    isUnchanged: writeAppCompose(requested) === writeAppCompose(current),
  };
}

/** The guest discards variables whose names are not allowed, so a new environment brings its names along. */
export function allowedEnvsOf({ allowedEnvs, environment }: UpdateRequest): readonly string[] | undefined {
  return allowedEnvs ?? environment?.map(({ key }) => key);
}
