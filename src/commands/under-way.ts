import type { Address } from "viem";
import { readAppStatus } from "../chain/read-app.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import type { SafeService } from "../governance/safe-service.ts";
import { toIso } from "../governance/timelock-find.ts";
import {
  makesExactly,
  nameOfQueued,
  type ReadUnderWayParameters,
  readUnderWay,
  type UnderWay,
  type WaitingSafeTransaction,
} from "../governance/under-way.ts";
import type { ReadQueue } from "../prune/read-allowlist-use.ts";
import { fromBlockOf, type HistoryArguments } from "./app-history.ts";
import { type ConnectedApp, requireApp } from "./connect-app.ts";
import { resolveKms } from "./connect-kms.ts";
import type { CommandHost, ConnectedChain } from "./host.ts";
import type { TaskIo } from "./run.ts";
import type { SafeServiceArguments } from "./safe-service.ts";

export interface ReadQueuesParameters
  extends Omit<ReadUnderWayParameters, "readSafeQueue" | "signal">,
    SafeServiceArguments {
  readonly chain: ConnectedChain;
}

/** What is queued in the owner of an app: see readUnderWay. Reads Safes from the service that the user named. */
export async function readQueues(
  io: Pick<TaskIo, "signal">,
  host: CommandHost,
  { chain: { client }, service: named, ...parameters }: ReadQueuesParameters,
): Promise<UnderWay> {
  const { kind } = parameters.owner;
  if (kind !== "safe" && kind !== "timelock") return readUnderWay(client, { ...parameters, signal: io.signal });
  const { openService } = await import("./safe-service.ts");
  const service = await openService({ service: named }, host);
  const readQueue =
    (service: SafeService) =>
    async (safe: Address): Promise<readonly WaitingSafeTransaction[]> => {
      const { listQueuedSafeTransactions } = await import("../governance/safe-queue.ts");
      const { readSafe } = await import("../governance/safe-account.ts");
      return listQueuedSafeTransactions(client, service, await readSafe(client, { safe }));
    };
  const readSafeQueue = service && readQueue(service);
  return readUnderWay(client, { ...parameters, readSafeQueue, signal: io.signal });
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

export interface ReadPruneQueueParameters {
  readonly app: ConnectedApp;
  readonly history: HistoryArguments;
  /** The calls of the plan that is checked: what waits with exactly these is the plan itself. */
  readonly planned: readonly OwnerCall[];
}

/** What waits in the owner of the app, except the plan itself. */
export async function readPruneQueue(
  io: Pick<TaskIo, "signal">,
  host: CommandHost,
  { app, history, planned }: ReadPruneQueueParameters,
): Promise<ReadQueue> {
  const { appId, client } = app;
  const { owner } = requireApp(await readAppStatus(client, { appId }), appId);
  const { operations, problems } = await readQueues(io, host, {
    ...{ chain: app, appId, kms: resolveKms({}, app), owner },
    fromBlock: fromBlockOf(history),
  });
  const others = operations.filter((operation) => planned.length === 0 || !makesExactly(operation, planned));
  return {
    documents: others.map((operation) => ({ source: nameOfQueued(operation), text: operation.text })),
    unknowns: problems.map((problem) => ({ kind: "queue", problem })),
  };
}
