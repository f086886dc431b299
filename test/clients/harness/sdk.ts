import type { Driver } from "./driver.ts";
import type { Lane } from "./lane.ts";

/** A client's SDK, pointed at the world of a lane. */
export interface Sdk {
  /** A method of the API client. @throws ClientError, MethodMissingError */
  call(method: string, parameters?: unknown, options?: { readonly apiKey?: string }): Promise<unknown>;
  /** A function that writes to or reads from the chain. */
  callChain(method: string, parameters: Readonly<Record<string, unknown>>): Promise<unknown>;
  callHelper(method: string, ...parameters: readonly unknown[]): Promise<unknown>;
  callWebhook(method: string, ...parameters: readonly unknown[]): Promise<unknown>;
}

/** @param version what the client is configured with; its own default if absent */
export function sdkOf(driver: Driver, { world }: Lane, version: string | undefined): Sdk {
  const { baseUrl } = world.cloud;
  return {
    call: (method, parameters, { apiKey = world.apiKey } = {}) =>
      driver.call({ kind: "api", method, parameters, apiKey, baseUrl, version }),
    callChain: (method, parameters) => driver.call({ kind: "chain", method, parameters }),
    callHelper: (method, ...parameters) => driver.call({ kind: "helper", method, parameters }),
    callWebhook: (method, ...parameters) => driver.call({ kind: "webhook", method, parameters }),
  };
}
