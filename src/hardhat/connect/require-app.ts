import type { AppStatus, ReadAppStatusReturnType } from "../../chain/read-app.ts";
import type { AppId } from "../../core/ids.ts";
import { lintApp, requireClean } from "../../core/lint/lint.ts";
import { NoContractError } from "../../errors/index.ts";

/** What was read of an app's address, if it is an app. @throws LintRefusedError, NoContractError */
export function requireApp(status: ReadAppStatusReturnType, appId: AppId): AppStatus {
  if (status.kind === "app") return status;
  const facts = { appId, hasCode: status.kind !== "noCode", isKms: status.kind === "kms", policy: undefined };
  requireClean(lintApp({ app: facts }));
  throw new NoContractError(appId);
}
