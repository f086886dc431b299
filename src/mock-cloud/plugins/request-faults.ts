import type { FastifyInstance, FastifyRequest } from "fastify";
import { apiBasePath } from "../../cloud/protocol.ts";
import type { Clock } from "../clock.ts";
import { ApiError, cvmBusy, mockErrorCodes } from "../errors.ts";
import type { Faults } from "../faults/faults.ts";
import type { Occasion } from "../faults/match-rule.ts";
import { findCvm } from "../services/find-cvm.ts";
import type { Store } from "../store/store.ts";

export interface RequestFaultsOptions {
  readonly faults: Faults;
  readonly clock: Clock;
  readonly store: Store;
  /** Ends waiting when the server stops. */
  readonly stopping: AbortSignal;
}

/** Lets the faults that are set for requests to the API strike: before the work, or instead of its answer. */
export function registerRequestFaults(app: FastifyInstance, options: RequestFaultsOptions): void {
  const { faults, clock, store, stopping } = options;

  // The last moment before a request is looked at: by then it is known whose it is.
  app.addHook("preValidation", async (request) => {
    if (!isForApi(request) || !faults.has("latency", "too-many-requests", "service-unavailable", "busy")) return;
    const occasion = occasionOf(store, request);
    const latency = faults.strike(["latency"], occasion);
    if (latency) await clock.sleep(latency.ms, stopping);
    const refusal = faults.strike(["too-many-requests", "service-unavailable", "busy"], occasion);
    if (refusal?.kind === "busy") throw cvmBusy(occasion.cvm ?? "of this request");
    if (refusal?.kind === "too-many-requests") throw tooManyRequests(refusal.seconds);
    if (refusal?.kind === "service-unavailable") throw serviceUnavailable(refusal.seconds);
  });

  app.addHook("onSend", async (request, _reply, payload) => {
    if (!isForApi(request) || !faults.has("dropped-response")) return payload;
    if (faults.strike(["dropped-response"], occasionOf(store, request))) request.raw.socket.destroy();
    return payload;
  });
}

function tooManyRequests(retryAfterSeconds: number): ApiError {
  return new ApiError(429, undefined, "Too many requests.", { retryAfterSeconds });
}

function serviceUnavailable(retryAfterSeconds: number): ApiError {
  return new ApiError(503, mockErrorCodes.serviceUnavailable, "Service unavailable.", { retryAfterSeconds });
}

function isForApi({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.url?.startsWith(`${apiBasePath}/`) ?? false;
}

function occasionOf(store: Store, request: FastifyRequest): Occasion {
  const { method, url, routeOptions } = request;
  const path = (url.split("?")[0] ?? url).slice(apiBasePath.length);
  const route = (routeOptions.url ?? "").slice(apiBasePath.length);
  return { method, path, route, cvm: findHashid(store, request) };
}

/** Requests without a key, and those that name no CVM of the key's workspace, concern no CVM. */
function findHashid(store: Store, { principal, params }: FastifyRequest): string | undefined {
  const { cvm_id: named } = params as { cvm_id?: string }; // what a CVM's routes call it
  if (named === undefined || !principal) return undefined;
  try {
    return findCvm(store.cvms, principal.workspace.id, named).hashid;
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}
