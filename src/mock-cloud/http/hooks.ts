import { createHash, timingSafeEqual } from "node:crypto";
import { BlockList } from "node:net";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type ApiVersion, apiBasePath, headerNames, resolveApiVersion } from "../../cloud/protocol.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import type { Clock } from "../clock.ts";
import { ApiError, cvmBusy, InvalidRequestError, mockErrorCodes, unauthorized } from "../errors.ts";
import type { EventListener } from "../events.ts";
import type { Faults, Occasion } from "../faults/faults.ts";
import { hashApiKey } from "../services/account.ts";
import { findCvm } from "../services/find.ts";
import type { Drain } from "../snapshots.ts";
import type { Store } from "../store/store.ts";
import type { Principal, Workspaces } from "../store/workspaces.ts";

export interface RequestFaultsOptions {
  readonly faults: Faults;
  readonly clock: Clock;
  readonly store: Store;
  /** Ends all waits when the server stops. */
  readonly stopping: AbortSignal;
}

/** Registers the faults for API requests: a fault strikes before the work, or replaces the answer. */
export function registerRequestFaults(app: FastifyInstance, options: RequestFaultsOptions): void {
  const { faults, clock, store, stopping } = options;

  // The last hook before the request is validated. The API key's owner is known by then.
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

/** Returns undefined for a request without a key, and for a request that names no CVM of the key's workspace. */
function findHashid(store: Store, { principal, params }: FastifyRequest): string | undefined {
  const { cvm_id: named } = params as { cvm_id?: string }; // the parameter name in all CVM routes
  if (named === undefined || !principal) return undefined;
  try {
    return findCvm(store.cvms, principal.workspace.id, named).hashid;
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

declare module "fastify" {
  interface FastifyRequest {
    /** Decides the shape of the answer. */
    apiVersion: ApiVersion;
  }
}

export function registerApiVersion(app: FastifyInstance): void {
  app.decorateRequest("apiVersion");
  app.addHook("onRequest", async (request) => {
    const header = request.headers[headerNames.apiVersion.toLowerCase()];
    const version = resolveApiVersion(typeof header === "string" ? header : undefined);
    if (version === undefined) {
      throw new InvalidRequestError(
        ["header", headerNames.apiVersion],
        "Must be a date such as 2026-01-21, or latest.",
      );
    }
    request.apiVersion = version;
  });
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Lets a request without an API key pass, without a principal: its handler checks a commit token instead. */
    readonly isTokenEnough?: boolean;
  }
  interface FastifyRequest {
    /** The owner of the request's API key. */
    principal: Principal;
  }
}

/** Refuses requests without a known API key. */
export function registerAuthentication(app: FastifyInstance, workspaces: Workspaces): void {
  app.decorateRequest("principal");
  app.addHook("onRequest", async (request) => {
    const key = request.headers[headerNames.apiKey.toLowerCase()];
    const principal = typeof key === "string" ? workspaces.findPrincipal(hashApiKey(key)) : undefined;
    if (key === undefined && request.routeOptions.config.isTokenEnough) return;
    if (!principal) throw unauthorized();
    request.principal = principal;
  });
}

export function registerRequestEvents(app: FastifyInstance, emit: EventListener): void {
  app.addHook("onResponse", async (request, reply) => {
    emit({
      type: "request",
      method: request.method,
      path: request.url.split("?")[0] ?? request.url,
      status: reply.statusCode,
      durationMs: reply.elapsedTime,
      requestId: request.id,
    });
  });
}

/**
 * Keeps requests that use the state from running during a snapshot or restore. Admin requests are exempt: they start
 * those.
 */
export function registerDrain(app: FastifyInstance, drain: Drain): void {
  const leaving = new WeakMap<FastifyRequest, () => void>();

  // This hook runs after the body was read and checked, so a client that sends slowly delays no snapshot.
  app.addHook("preHandler", async (request) => {
    if (request.routeOptions.url?.startsWith("/admin/")) return;
    leaving.set(request, await drain.enter());
  });

  // Runs for every answer, also for refusals and for clients that closed the connection. For a stream, it runs at the
  // start.
  app.addHook("onSend", async (request, _reply, payload) => {
    leaving.get(request)?.();
    return payload;
  });
}

export const adminKeyHeader = "X-Admin-Key";

const shortestKey = 16;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
loopback.addSubnet("::ffff:127.0.0.0", 104, "ipv6");

/** @throws InvalidArgumentError */
export function checkAdminKey(key: string): string {
  if (key.length < shortestKey) throw new InvalidArgumentError(`An admin key has at least ${shortestKey} characters.`);
  return key;
}

/**
 * Admits only programs on this machine that send the key. Both checks are needed: a web page in a browser also runs on
 * this machine, but it cannot know the key.
 */
export function registerAdminGuard(app: FastifyInstance, key: string): void {
  const expected = digest(key);
  app.addHook("onRequest", async (request) => {
    if (!isLoopback(request.socket.remoteAddress)) {
      throw new ApiError(403, undefined, "Only callers on the same machine may use the admin endpoints.");
    }
    const given = request.headers[adminKeyHeader.toLowerCase()];
    if (typeof given !== "string" || !timingSafeEqual(digest(given), expected)) {
      throw new ApiError(401, undefined, `Invalid or missing ${adminKeyHeader}.`);
    }
  });
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  return loopback.check(address, address.includes(":") ? "ipv6" : "ipv4");
}

/** Hashes a key to a fixed length, because the constant-time comparison needs equal lengths. */
function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
