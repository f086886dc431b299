import type { ChainClient } from "../chain/client.ts";
import { readAllowlist } from "../chain/read-app.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { safeGetCvm } from "../cloud/get-cvm.ts";
import { type AppId, nameOfCvm } from "../core/ids.ts";
import { addComposeHashCall, addDeviceCall, isSameCall, type OwnerCall } from "../core/owner-calls.ts";
import type { ChangePlan, PlannedCvm, PlannedUpdate } from "./change-plan.ts";

/** A hash or a device that an update needs, and that the app does not allow. */
export interface MissingPermission {
  /** The call by which the owner allows it. */
  readonly call: OwnerCall;
  /** The CVMs that need it. */
  readonly cvms: readonly Pick<PlannedCvm, "id" | "name">[];
}

/** What stands against an update, compared with the chain and the cloud. */
export interface UpdateCheck {
  /** Whether every CVM runs its new document. */
  readonly isDone: boolean;
  /** What neither the app allows nor a call of the plan will allow. */
  readonly missing: readonly MissingPermission[];
  /** Sentences: CVMs that run another document than when the plan was made. */
  readonly moved: readonly string[];
  /** Sentences: CVMs that the cloud does not show. */
  readonly unread: readonly string[];
  /** Sentences: what else changed since the plan was made. */
  readonly changed: readonly string[];
}

export interface CheckUpdateParameters {
  readonly plan: Pick<ChangePlan, "appId" | "changes" | "update">;
  /** Undefined without an API key. */
  readonly cloud: CloudClient | undefined;
  /** Whether the plan was executed. Its calls then allow nothing more. */
  readonly isExecuted: boolean;
}

/**
 * Compares everything that a planned update needs with the chain and the cloud, also what the app allowed already when
 * the plan was made. A CVM that runs its new document needs nothing more.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError
 */
export async function checkUpdate(
  client: ChainClient,
  { plan: { appId, changes, update }, cloud, isExecuted }: CheckUpdateParameters,
): Promise<UpdateCheck> {
  if (update === undefined || appId === undefined)
    return { isDone: true, missing: [], moved: [], unread: [], changed: [] };
  const seen = await Promise.all(update.cvms.map((planned) => readPlanned(cloud, planned)));
  const open = seen.filter(({ isDone }) => !isDone);
  const calls = isExecuted ? [] : changes.map(({ call }) => call);
  const found = open.length === 0 ? undefined : await readNeeds(client, { appId, open, calls, app: update.app });
  return {
    ...{ isDone: open.length === 0, missing: [], changed: [], ...found },
    moved: open.flatMap(({ movedTo }) => movedTo ?? []),
    unread: open.flatMap(({ whyUnread }) => whyUnread ?? []),
  };
}

interface SeenCvm extends PlannedCvm {
  /** Whether it runs the new document, which is not the one it ran before. */
  readonly isDone: boolean;
  readonly movedTo?: string | undefined;
  readonly whyUnread?: string | undefined;
}

async function readPlanned(cloud: CloudClient | undefined, planned: PlannedCvm): Promise<SeenCvm> {
  const name = `CVM ${nameOfCvm(planned)}`;
  const unread = (why: string): SeenCvm => ({ ...planned, isDone: false, whyUnread: `${name} cannot be read${why}` });
  if (cloud === undefined) return unread(", because there is no API key.");
  const answer = await safeGetCvm(cloud, { cvm: planned.id });
  if (!answer.success) return unread(`: ${answer.error.message}`);
  const { composeHash: present, ...cvm } = answer.data;
  const { previousComposeHash: before = present, composeHash } = planned;
  const seen = { ...planned, deviceId: planned.deviceId ?? cvm.deviceId };
  if (present === composeHash) return { ...seen, isDone: composeHash !== planned.previousComposeHash };
  const movedTo = `${name} has ${present ?? "no known hash"}, and not ${before} any more.`;
  return present === before ? { ...seen, isDone: false } : { ...seen, isDone: false, movedTo };
}

interface Needs {
  readonly appId: AppId;
  readonly open: readonly SeenCvm[];
  /** The calls that will still be made. */
  readonly calls: readonly OwnerCall[];
  readonly app: PlannedUpdate["app"];
}

async function readNeeds(client: ChainClient, { appId, open, calls, app: before }: Needs) {
  const willBeMade = (call: OwnerCall) => calls.some((one) => isSameCall(one, call));
  const missing: MissingPermission[] = [];
  const changed: string[] = [];
  const lack = (call: OwnerCall, { id, name }: SeenCvm) => {
    const known = missing.findIndex((one) => isSameCall(one.call, call));
    const cvms = [...(missing[known]?.cvms ?? []), { id, name }];
    missing.splice(known === -1 ? missing.length : known, 1, { call, cvms });
  };
  const answers = await Promise.all(
    open.map(({ composeHash, deviceId }) => readAllowlist(client, { appId, composeHash, deviceId })),
  );
  const isClosed = answers.some(({ allowAnyDevice }) => !allowAnyDevice);
  const isStrict = answers.some(({ requireTcbUpToDate }) => requireTcbUpToDate);
  open.forEach((cvm, index) => {
    const { composeHash, deviceId } = cvm;
    const { composeHashAllowed, deviceAllowed } = answers[index] ?? {};
    const hash = addComposeHashCall({ appId, composeHash });
    const device = deviceId && addDeviceCall({ appId, deviceId });
    // In the order of their execution: once its hash is allowed, a CVM must be able to boot.
    if (device !== undefined && deviceAllowed === false && !willBeMade(device)) lack(device, cvm);
    if (composeHashAllowed === false && !willBeMade(hash)) lack(hash, cvm);
    if (device === undefined && before?.allowAnyDevice === true && isClosed)
      changed.push(`The app no longer allows any device, and the device of CVM ${nameOfCvm(cvm)} is not known.`);
  });
  if (before?.requireTcbUpToDate === false && isStrict)
    changed.push("The app demands an up-to-date TCB since the plan was made, and may refuse the CVMs.");
  return { missing, changed };
}

/** "web (cvm_1) needs device 0x…, which the app does not allow." */
export function describeMissing({ call, cvms }: MissingPermission): string {
  const what = call.functionName === "addDevice" ? "device" : "compose hash";
  return `The update of ${cvms.map(nameOfCvm).join(", ")} needs ${what} ${call.args[0]}, which the app does not allow.`;
}
