import type { OperationGroup } from "../harness/operation.ts";
import { twoPhaseGroup } from "./two-phase.ts";

/** Every row of the table, in its order. */
export const operationGroups: readonly OperationGroup[] = [twoPhaseGroup];
