import { type AppCompose, changeAppCompose } from "../../core/app-compose.ts";
import { computeComposeHash, writeAppCompose } from "../../core/compose-hash.ts";
import { type DroppedVariable, findDroppedVariables } from "../../core/docker-compose.ts";
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
  /** Variables that were set and that the new environment does not set. Empty where none is given. */
  readonly droppedVariables: readonly DroppedVariable[];
}

/** @throws InvalidAppComposeError, PayloadTooLargeError, InvalidEnvironmentError */
export function buildDocument(run: UpdateRun, { name }: UpdateTarget): Promise<RequestedDocument> {
  return during(
    run,
    "buildDocument",
    () => build(run, name),
    ({ composeHash, isUnchanged, droppedVariables }) => ({ composeHash, isUnchanged, droppedVariables }),
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
    droppedVariables: droppedVariablesOf(request, current, requested),
  };
}

/** What was allowed so far is the best that can be known of what was set: the values are for the CVM to read alone. */
function droppedVariablesOf(
  { environment }: UpdateRequest,
  current: AppCompose,
  requested: AppCompose,
): readonly DroppedVariable[] {
  if (environment === undefined) return [];
  return findDroppedVariables({
    before: current.allowed_envs ?? [],
    after: environment.map(({ key }) => key),
    dockerCompose: requested.docker_compose_file,
  });
}

/** The guest discards variables whose names are not allowed, so a new environment brings its names along. */
export function allowedEnvsOf({ allowedEnvs, environment }: UpdateRequest): readonly string[] | undefined {
  return allowedEnvs ?? environment?.map(({ key }) => key);
}
