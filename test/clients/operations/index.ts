import type { OperationGroup } from "../harness/operation.ts";
import { chainGroup } from "./chain.ts";
import { conflictGroup } from "./conflicts.ts";
import { deployGroups } from "./deploy.ts";
import { deviceGroup } from "./devices.ts";
import { lifecycleGroup } from "./lifecycle.ts";
import { onePhaseGroup } from "./one-phase.ts";
import { readingGroups } from "./reading.ts";
import { refusalGroup } from "./refusals.ts";
import { replicaGroup } from "./replicas.ts";
import { twoPhaseGroup } from "./two-phase.ts";
import { webhookGroup } from "./webhooks.ts";

/** Every row of the table, in its order. */
export const operationGroups: readonly OperationGroup[] = [
  ...deployGroups,
  twoPhaseGroup,
  onePhaseGroup,
  refusalGroup,
  conflictGroup,
  lifecycleGroup,
  replicaGroup,
  deviceGroup,
  chainGroup,
  webhookGroup,
  ...readingGroups,
];
