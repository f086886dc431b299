import { join } from "node:path";
import { parseComposeHash } from "../core/ids.ts";
import { isSameCall, type OwnerCall } from "../core/owner-calls.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { makeOwnDirectory } from "../files/own-file.ts";
import { createUpdateOutput } from "../output/update.ts";
import type { ChangeReason, PlannedUpdate } from "../plans/change-plan.ts";
import { callOf } from "../update/connect-payments.ts";
import { type PreparedUpdate, type PrepareUpdateResult, prepareUpdate } from "../update/prepare-update.ts";
import type { UpdateRequest } from "../update/run.ts";
import { type AppTarget, type ConnectedApp, connectCloud, listCvms, requireCloud } from "./connect-app.ts";
import { type ConnectedUpdate, connectUpdate } from "./connect-update.ts";
import type { CommandHost } from "./host.ts";
import { preparedFileOf } from "./plan-progress.ts";
import type { TaskIo } from "./run.ts";
import { parseSending } from "./sending.ts";
import type { UpdateArguments } from "./update-arguments.ts";

/**
 * The CVMs that an update is about: `--cvm`, or every CVM of `--app` in the API key's workspace. Undefined if neither is
 * given.
 *
 * @throws InvalidArgumentError, CloudError
 */
export async function findNamedCvms(
  { cvm, revision }: UpdateArguments,
  host: CommandHost,
  app: AppTarget | undefined,
): Promise<readonly string[] | undefined> {
  if (cvm !== undefined) return [cvm];
  if (app === undefined) return undefined;
  const cvms = await listCvms(requireCloud(await connectCloud(host), "for the update"), app.appId);
  if (cvms.length > 1 && revision !== undefined) {
    throw new InvalidArgumentError(`App ${app.appId} has ${cvms.length} CVMs, and --revision is about one CVM.`, {
      nextStep: `Name one of them: ${cvms.map(({ id }) => `--cvm ${id}`).join(", ")}.`,
      context: { appId: app.appId },
    });
  }
  if (cvms.length > 1) return cvms.map(({ id }) => id);
  // The name of the configuration reads better than an id.
  const only = app.cvm ?? cvms[0]?.id;
  if (only !== undefined) return [only];
  throw new InvalidArgumentError(`The API key's workspace has no CVM of app ${app.appId}.`, {
    nextStep: "Check --app, and that the API key belongs to the workspace of the CVMs.",
    context: { appId: app.appId },
  });
}

export type ConnectedReplicas = ConnectedUpdate & { readonly app: ConnectedApp };

/** Connects an update of several CVMs of one app. @throws InvalidArgumentError if it has no contract, and as connectUpdate */
export async function connectReplicas(
  io: TaskIo,
  host: CommandHost,
  parameters: { readonly args: UpdateArguments; readonly app: AppTarget | undefined; readonly request: UpdateRequest },
): Promise<ConnectedReplicas> {
  const connected = await connectUpdate(io, host, parameters);
  const { app } = connected;
  if (app !== undefined) return { ...connected, app };
  const { cvm } = parameters.request;
  throw new InvalidArgumentError(`${cvm} has no contract, so no owner has to allow its update.`, {
    nextStep: "Update it without --prepare and --plan: --cvm NAME.",
    context: { cvm },
  });
}

/** Prepares the same change for each CVM. @throws as prepareUpdate */
export async function prepareAll(
  io: TaskIo,
  host: CommandHost,
  {
    args,
    connected,
    cvms,
  }: {
    readonly args: UpdateArguments;
    readonly connected: ConnectedReplicas;
    readonly cvms: readonly string[];
  },
): Promise<readonly PrepareUpdateResult[]> {
  const { cloud, chain, account, request } = connected;
  const { maxFeePerGas, maxPriorityFeePerGas } = parseSending(args, host.settings);
  const told = new Set<string>();
  const prepared: PrepareUpdateResult[] = [];
  for (const cvm of cvms) {
    if (cvms.length > 1) io.output.line(`\n${cvm}:`);
    prepared.push(
      await prepareUpdate({
        ...{ ...request, cvm, cloud, chain, account, maxFeePerGas, maxPriorityFeePerGas },
        ...{ signal: io.signal, onStep: createUpdateOutput(io.output, told) },
      }),
    );
  }
  return prepared;
}

/** The calls that the prepared updates need, each once. */
export function callsOf(prepared: readonly PrepareUpdateResult[]): readonly OwnerCall[] {
  return eachOnce(prepared.flatMap(({ needed }) => needed.map(callOf)));
}

/** Replicas mostly need the same calls. */
export function eachOnce(calls: readonly OwnerCall[]): readonly OwnerCall[] {
  return calls.filter((call, index) => calls.findIndex((other) => isSameCall(call, other)) === index);
}

/** Why a plan has a call: the CVMs that need it. */
export function reasonOf(call: OwnerCall, prepared: readonly PrepareUpdateResult[]): ChangeReason {
  const needing = prepared.filter(({ needed }) => needed.some((intent) => isSameCall(callOf(intent), call)));
  return { rule: "update", cvms: needing.map(({ cvm: id, name }) => ({ id, name })) };
}

/** The CVMs of a plan. It holds no secret. */
export function plannedUpdateOf(prepared: readonly PrepareUpdateResult[], app: PlannedUpdate["app"]): PlannedUpdate {
  return {
    app,
    cvms: prepared.flatMap(({ update, needed }) => {
      if (update === undefined) return [];
      const { cvm: id, name, previousComposeHash, composeHash, deviceId } = update;
      const isAllowed = !needed.some(({ value }) => value === composeHash);
      return [{ id, name, previousComposeHash, composeHash, isAllowed, ...(deviceId !== undefined && { deviceId }) }];
    }),
  };
}

/**
 * Where the prepared updates of a plan are kept, below the project's `.dstack`, which no other user may read.
 *
 * @throws UnusableFileError
 */
export async function preparedPath({ root }: Pick<CommandHost, "root">, digest: string): Promise<string> {
  await makeOwnDirectory(join(root, ".dstack"));
  await makeOwnDirectory(join(root, ".dstack", "prepared"));
  return preparedFileOf(root, digest);
}

/** Recognises the same change of the same CVMs, without a readable trace of the environment's values. */
export function fingerprintRequest({ cloud, app, request }: ConnectedReplicas, updates: readonly string[]): string {
  const { dockerCompose, preLaunchScript, environment, allowedEnvs } = request;
  const { publicLogs, publicSysinfo, publicTcbinfo } = request;
  const change = { dockerCompose, preLaunchScript, environment, allowedEnvs, publicLogs, publicSysinfo, publicTcbinfo };
  return cloud.fingerprint(JSON.stringify(["request", app.appId, [...updates].sort(), change]));
}

/** The calls that one prepared update may need. */
export function callsOfUpdate({ appId, deviceId, composeHash }: PreparedUpdate): readonly OwnerCall[] {
  const hash = { appId, step: "addComposeHash", value: parseComposeHash(composeHash) } as const;
  return [...(deviceId === undefined ? [] : [callOf({ appId, step: "addDevice", value: deviceId })]), callOf(hash)];
}
