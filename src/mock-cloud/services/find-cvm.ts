import { cvmAmbiguous, cvmNotFound } from "../errors.ts";
import type { Cvm, Cvms } from "../store/cvms.ts";
import { type CvmIdentifier, parseCvmIdentifier } from "./cvm-identifier.ts";

/**
 * The one CVM of the workspace that a URL names.
 *
 * @throws ApiError 404 when there is none, 400 when there are several
 */
export function findCvm(cvms: Cvms, workspaceId: string, raw: string): Cvm {
  const identifier = parseCvmIdentifier(raw);
  const matches = findMatches(cvms, workspaceId, identifier);
  const [cvm] = matches;
  if (!cvm) throw cvmNotFound(raw);
  if (matches.length > 1) {
    throw cvmAmbiguous(
      raw,
      identifier.kind === "name",
      matches.map(({ hashid }) => hashid),
    );
  }
  return cvm;
}

/** Whether that is one of the CVM's names; others may share it. */
export function isNamed(cvms: Cvms, cvm: Cvm, raw: string): boolean {
  return findMatches(cvms, cvm.workspaceId, parseCvmIdentifier(raw)).some(({ id }) => id === cvm.id);
}

function findMatches(cvms: Cvms, workspaceId: string, identifier: CvmIdentifier): Cvm[] {
  switch (identifier.kind) {
    case "id":
      return cvms.withId(workspaceId, identifier.id);
    case "hashid":
      return cvms.withHashid(workspaceId, identifier.hashid);
    case "uuid":
      return cvms.withUuid(workspaceId, identifier.uuid);
    case "instance":
      return cvms.withInstanceId(workspaceId, identifier.instanceId);
    case "name":
      return cvms.withName(workspaceId, identifier.name);
    case "app": {
      const ofApp = cvms.withAppId(workspaceId, identifier.appId);
      // Official clients write `app_` before any 40 digits, an instance id's too.
      return ofApp.length > 0 ? ofApp : cvms.withInstanceId(workspaceId, identifier.appId);
    }
  }
}
