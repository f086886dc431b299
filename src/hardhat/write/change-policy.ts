import { requireEffect } from "../../batch/require-effect.ts";
import { readAppStatus } from "../../chain/read-app.ts";
import { orderCalls } from "../../core/order-calls.ts";
import type { PolicyCall } from "../../core/owner-calls.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import { reportGenerations } from "../connect/generations.ts";
import { requireApp } from "../connect/require-app.ts";
import type { TaskIo, TaskOutcome } from "../connect/run-task.ts";
import { lintBeforeWrite } from "../lint/lint-before-write.ts";
import { carryOut } from "./carry-out.ts";

export interface ChangePolicyArguments {
  /** What `--accept` names: rules of the linter and risks. */
  readonly accept?: string | undefined;
  readonly batch?: string | undefined;
}

export interface ChangePolicyParameters {
  readonly app: ConnectedApp;
  readonly calls: readonly PolicyCall[];
  /** Sends calls that change nothing too. */
  readonly allowNoEffect: boolean;
  /** What else can stand against the calls; asked once it is known that the app's lists are what governs. */
  readonly guard?: (() => Promise<void>) | undefined;
}

/**
 * The way of every change of an app's lists and switches: lint it, refuse what the guard or the app's generation
 * forbids and what changes nothing, and carry it out as the owner.
 *
 * @throws InvalidArgumentError if calls contradict each other
 * @throws LintRefusedError, KeyEpochsError, NoEffectError, and what the guard and carryOut throw
 */
export async function changePolicy(
  io: TaskIo,
  { accept, batch }: ChangePolicyArguments,
  { app, calls: unordered, allowNoEffect, guard }: ChangePolicyParameters,
): Promise<TaskOutcome> {
  const calls = orderCalls(unordered);
  const { client, appId, chainId } = app;
  const status = await readAppStatus(client, { appId });
  const { owner } = requireApp(status, appId);
  const { findings, contracts } = await lintBeforeWrite(io, app, { accept, status, calls });
  await guard?.();
  if (!allowNoEffect) await requireEffect(client, calls);
  const carriedOut = await carryOut(io, app, { calls, signatory: owner, batch, allowNoEffect });
  return { result: { appId, chainId, ...reportGenerations(contracts), ...carriedOut, findings } };
}
