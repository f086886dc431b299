import type { AppStatus } from "../../chain/read-app.ts";
import type { AppId } from "../../core/ids.ts";
import type { LintFinding } from "../../core/lint/lint.ts";
import type { Completeness } from "../../history/history.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import type { GenerationReport } from "../connect/generations.ts";
import type { AllowedLists } from "./gather-lists.ts";
import type { Running } from "./gather-running.ts";

/** Everything `dstack status` tells. */
export interface StatusReport extends Pick<ConnectedApp, "alias" | "network" | "chainId">, GenerationReport {
  readonly appId: AppId;
  readonly kms: string | undefined;
  readonly kmsImplementation: string | undefined;
  readonly contract: AppStatus;
  /** Undefined where the history could not be read at all. */
  readonly lists: AllowedLists | undefined;
  readonly completeness: Completeness | UnreadHistory;
  readonly running: Running;
  readonly findings: readonly LintFinding[];
}

interface UnreadHistory {
  readonly isComplete: false;
  readonly reasons: readonly { readonly kind: "notRead"; readonly message: string }[];
}
