import { toIso } from "../governance/timelock-execute.ts";
import { readUnderWay, type ReadUnderWayParameters, type UnderWay } from "../governance/under-way.ts";
import type { CommandHost, ConnectedChain } from "./host.ts";
import type { TaskIo } from "./run.ts";

export interface QueueArguments {
  /** Address of a Safe transaction service, or none. */
  readonly service?: string | undefined;
}

export interface ReadQueuesParameters
  extends Omit<ReadUnderWayParameters, "readSafeQueue" | "signal">,
    QueueArguments {
  readonly chain: ConnectedChain;
}

/** What is queued in the owner of an app: see readUnderWay. Reads Safes from the service that the user named. */
export async function readQueues(
  io: Pick<TaskIo, "signal">,
  _host: CommandHost,
  { chain, service: _, ...parameters }: ReadQueuesParameters,
): Promise<UnderWay> {
  return readUnderWay(chain.client, { ...parameters, signal: io.signal });
}

/** What is under way, for `--json`. */
export function describeUnderWay({ operations, problems }: UnderWay) {
  return {
    operations: operations.map(({ text: _, calls, ...operation }) => ({
      ...operation,
      ...("readyAt" in operation && { readyAt: toIso(operation.readyAt) }),
      calls: calls.map(({ description, to }) => ({ description, to })),
    })),
    problems,
  };
}
