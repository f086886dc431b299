import { parseAppId } from "../../core/ids.ts";
import { isDstackError } from "../../errors/index.ts";
import { appNotFound } from "../errors.ts";
import type { Cvm, Cvms } from "../store/cvms.ts";

/**
 * The workspace's CVMs of the app that a URL names, oldest first. There is an app as long as it has a CVM.
 *
 * @throws ApiError 404
 */
export function findAppCvms(cvms: Cvms, workspaceId: string, raw: string): readonly [Cvm, ...Cvm[]] {
  const [first, ...rest] = cvms.withAppId(workspaceId, readAppId(raw));
  if (!first) throw appNotFound(raw);
  return [first, ...rest];
}

function readAppId(raw: string) {
  try {
    return parseAppId(raw);
  } catch (error) {
    if (isDstackError(error)) throw appNotFound(raw);
    throw error;
  }
}
