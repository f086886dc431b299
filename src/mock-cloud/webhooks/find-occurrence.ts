import type { WebhookEvent } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import type { MockCloudEvent, OperationFinished, UpdatePrepared } from "../events.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";

/** Something webhooks are told of. */
export interface Occurrence {
  readonly event: WebhookEvent;
  readonly workspaceId: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** The same for the same occurrence, however often it is reported. */
  readonly cause: string;
}

const eventsOfSuccess = {
  create: "cvm.started",
  start: "cvm.started",
  restart: "cvm.restarted",
  update: "cvm.updated",
  stop: "cvm.stopped",
  shutdown: "cvm.stopped",
  delete: "cvm.deleted",
} as const satisfies Record<OperationFinished["kind"], WebhookEvent>;

/** What webhooks are to be told of an event of the mock's own; of most of them, nothing. */
export function findOccurrence(store: Store, occurred: MockCloudEvent): Occurrence | undefined {
  const event = nameEvent(occurred);
  if (event === undefined || !("cvmId" in occurred) || occurred.cvmId === null) return undefined;
  const cvm = store.cvms.findHashidEver(occurred.cvmId);
  if (!cvm) return undefined;
  const data = {
    cvm_id: cvm.hashid,
    cvm_name: cvm.name,
    app_id: `app_${withoutPrefix(cvm.appId)}`,
    status: event === "cvm.deleted" ? "deleted" : cvm.status,
    ...("failure" in occurred && occurred.failure !== null && { error: occurred.failure }),
    ...(occurred.type === "update.prepared" && describePending(store, cvm, occurred)),
  };
  const source = "correlationId" in occurred ? occurred.correlationId : `${cvm.hashid} ${JSON.stringify(occurred)}`;
  return { event, workspaceId: cvm.workspaceId, data, cause: `${event} ${source}` };
}

function nameEvent(occurred: MockCloudEvent): WebhookEvent | undefined {
  if (occurred.type === "update.prepared") return "cvm.update.pending_approval";
  if (occurred.type === "operation.started") return occurred.kind === "create" ? "cvm.created" : undefined;
  if (occurred.type !== "operation.finished") return undefined;
  if (occurred.outcome === "done") return eventsOfSuccess[occurred.kind];
  // The API documents no event for any other failure.
  return occurred.kind === "create" ? "cvm.create_failed" : undefined;
}

/** What the app's owner has to do. `calldata` is the bare hash, as the API sends it, not an encoded call. */
function describePending(store: Store, cvm: Cvm, { composeHash, expiresAt }: UpdatePrepared) {
  const { kms } = store.platform.placeOf(cvm);
  return {
    kms: { chain_id: kms.chainId, contract_address: kms.contractAddress },
    onchain_action: { to: cvm.appId, method: "addComposeHash", calldata: composeHash },
    expires_at: toIsoTime(expiresAt),
    initiated_by: store.workspaces.firstUsername(cvm.workspaceId) ?? null,
  };
}
