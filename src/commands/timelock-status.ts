import { type Address, getAddress } from "viem";
import { parseAddress } from "../chain/client.ts";
import { readAppStatus } from "../chain/read-app.ts";
import { readOwner } from "../chain/read-owner.ts";
import type { AppId } from "../core/ids.ts";
import { readRoleHolders } from "../governance/timelock-execute.ts";
import { readTimelock } from "../governance/timelock-operation.ts";
import { describeOwner } from "../output/format.ts";
import { describeUndone } from "../output/plan.ts";
import { showExecutors, showOperation, showUnderWay } from "../output/timelock.ts";
import { fromBlockOf } from "./app-history.ts";
import { type AppArguments, connectApp, requireApp } from "./connect-app.ts";
import { resolveKms } from "./connect-kms.ts";
import type { Command, CommandHost, ConnectedChain } from "./host.ts";
import { runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import type { SafeServiceArguments } from "./safe-service.ts";
import {
  connectOperation,
  describeHolders,
  describeOperation,
  describeReady,
  placeOf,
  requireTimelock,
  type TimelockArguments,
} from "./timelock-context.ts";
import { describeUnderWay, readQueues } from "./under-way.ts";

export interface TimelockStatusArguments extends TimelockArguments, AppArguments, SafeServiceArguments {
  /** Address of the timelock. */
  readonly timelock?: string | undefined;
}

/** Shows the operation of a plan; without a plan, every operation that waits in the timelock. */
export const timelockStatus: Command<TimelockStatusArguments> = (args, host) =>
  runTask(args, (io) => (args.file === "" ? list(io, args, host) : show(io, args, host)));

async function show(io: TaskIo, args: TimelockStatusArguments, host: CommandHost): Promise<TaskOutcome> {
  const connected = await connectOperation(io, args, host);
  const { found, holders, plan, chain, undone } = connected;
  const { digest, appId = null, kms = null } = plan;
  return {
    result: {
      ...{ chainId: chain.chainId, appId, kms, digest },
      ...describeOperation(found),
      undone,
      ...describeHolders(found.status, holders),
    },
    show: (output) => {
      showOperation(output, found, holders);
      output.line();
      for (const line of describeReady(found, placeOf(connected, args.file))) output.line(line);
      for (const line of describeUndone(undone)) output.line(line);
    },
  };
}

async function list(io: TaskIo, args: TimelockStatusArguments, host: CommandHost): Promise<TaskOutcome> {
  const { chain, timelock, appId, kms } = await connectTimelock(args, host);
  const { client } = chain;
  const fromBlock = fromBlockOf(args);
  const owner = await readOwner(client, { address: timelock });
  const [underWay, holders, status] = await Promise.all([
    readQueues(io, host, { chain, appId, kms, owner, fromBlock, service: args.service }),
    readRoleHolders(client, { timelock, fromBlock, signal: io.signal }),
    readTimelock(client, { timelock }),
  ]);
  const { minDelaySeconds, isExecutorOpen, blockNumber } = status;
  return {
    result: {
      ...{ chainId: chain.chainId, appId: appId ?? null, timelock, blockNumber, minDelaySeconds, isExecutorOpen },
      ...describeHolders(status, holders),
      ...describeUnderWay(underWay),
    },
    show: (output) => {
      output.title(`Timelock ${timelock} on ${chain.network}, chain ${chain.chainId}`);
      output.line(`  ${describeOwner(owner)}`);
      showExecutors(output, status, holders);
      showUnderWay(output, underWay);
    },
  };
}

interface ConnectedTimelock {
  readonly chain: ConnectedChain;
  readonly timelock: Address;
  readonly appId?: AppId | undefined;
  readonly kms?: Address | undefined;
}

async function connectTimelock(args: TimelockStatusArguments, host: CommandHost): Promise<ConnectedTimelock> {
  const named = args.timelock === undefined ? undefined : parseAddress("The timelock", args.timelock);
  if (named !== undefined && args.app === undefined && args.cvm === undefined)
    return { chain: await host.connectChain(), timelock: getAddress(named) };
  const app = await connectApp(args, host);
  const { owner } = requireApp(await readAppStatus(app.client, { appId: app.appId }), app.appId);
  return { chain: app, timelock: requireTimelock(owner, named), appId: app.appId, kms: resolveKms({}, app) };
}
