import { type Address, isAddressEqual } from "viem";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import { describeDelay } from "../core/timelock-calls.ts";
import { InvalidArgumentError, TimelockRoleError } from "../errors/index.ts";
import { prepareExecute, prepareSchedule, readRoleHolders } from "../governance/timelock-execute.ts";
import { type FoundOperation, findOperation } from "../governance/timelock-find.ts";
import { callAs } from "./execute-in-safe.ts";
import type { ExecutionContext } from "./execution-context.ts";

/** Blocks of a development chain may be ahead of its clock, so a wait is a little longer than needed. */
const spareSeconds = 5n;

/**
 * Takes the plan through its timelock: an impersonated proposer schedules the operation, the clock passes the delay, and
 * an executor executes it. An operation that is scheduled already is not scheduled again.
 *
 * @throws InvalidArgumentError if no proposer is known
 * @throws TimelockOperationError, TimelockRoleError, TimelockNotReadyError, ContractRevertedError, and what
 * executeInSafe throws
 */
export async function executeInTimelock(context: ExecutionContext, { address }: ReadOwnerReturnType): Promise<void> {
  const { client, plan, recorder, signal, calls } = context;
  const find = () => findOperation(client, { plan, signal });
  const found = await find();
  const accounts = await findAccounts(context, found);
  const schedule = await prepareSchedule(client, found, { account: accounts.proposer });
  if (schedule === undefined) {
    context.deviate(`The operation ${found.id} is scheduled on the live chain already, so it was not scheduled again.`);
  } else {
    const what = `schedule the operation in the timelock ${address}`;
    await callAs(context, { from: accounts.proposer, call: schedule.call, what });
  }
  const scheduled = await find();
  const left = (scheduled.readyAt ?? 0n) - scheduled.status.blockTime;
  if (left > 0n) {
    await context.advance(Number(left + spareSeconds));
    recorder.addWait(`wait ${describeDelay(left)}, the timelock's delay`, left);
  }
  const call = await prepareExecute(client, await find(), { account: accounts.executor });
  const what = `execute the operation in the timelock ${address}`;
  const { transactionHash } = await callAs(context, { from: accounts.executor, call, what });
  await context.prove(calls, { transactionHash, operationId: scheduled.id });
}

/** The accounts that act. A Safe is preferred, because more can go wrong with it. */
async function findAccounts(
  { client, proposer: named, signal }: ExecutionContext,
  { timelock, status }: FoundOperation,
): Promise<{ readonly proposer: Address; readonly executor: Address }> {
  const holders = (await readRoleHolders(client, { timelock, signal })) ?? [];
  const ranked = await rank(
    client,
    holders.map(({ account }) => account),
  );
  const holderOf = (right: "canPropose" | "canExecute") =>
    ranked.find((account) => holders.some((one) => one[right] && isAddressEqual(one.account, account)));
  const proposer = named ?? holderOf("canPropose");
  if (proposer === undefined) {
    throw new InvalidArgumentError(`No account that may propose in the timelock ${timelock} is known.`, {
      nextStep: "Give `proposer`, or an endpoint that serves the timelock's events from its creation on.",
      context: { timelock },
    });
  }
  const executor = status.isExecutorOpen ? proposer : holderOf("canExecute");
  if (executor !== undefined) return { proposer, executor };
  throw new TimelockRoleError({ timelock, account: proposer, role: "executor", holders: [] });
}

const preferred: readonly ReadOwnerReturnType["kind"][] = ["safe", "eoa", "timelock", "contract"];

async function rank(client: ExecutionContext["client"], accounts: readonly Address[]): Promise<readonly Address[]> {
  const owners = await Promise.all(accounts.map((address) => readOwner(client, { address })));
  return owners
    .toSorted((one, other) => preferred.indexOf(one.kind) - preferred.indexOf(other.kind))
    .filter(({ kind }) => preferred.includes(kind))
    .map(({ address }) => address);
}
