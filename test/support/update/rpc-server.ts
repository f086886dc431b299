import { sendJson, startServer, type TestServer } from "./http-server.ts";

export interface RpcRequest {
  readonly method: string;
  readonly params?: readonly unknown[];
}

/** Anything that answers JSON-RPC, such as the provider of an in-process chain. */
export interface RpcProvider {
  request(request: RpcRequest): Promise<unknown>;
}

/** Stands between the chain and its client. It may answer itself, change the answer, or throw. */
export type RpcInterceptor = (request: RpcRequest, forward: () => Promise<unknown>) => Promise<unknown>;

/** Serves a chain of this process over HTTP, as a node would. */
export function startRpcServer(
  provider: RpcProvider,
  intercept: RpcInterceptor = (_, forward) => forward(),
): Promise<TestServer> {
  return startServer(async (response, { body }) => {
    const { id, method, params = [] } = JSON.parse(body);
    try {
      const result = await intercept({ method, params }, () => provider.request({ method, params }));
      sendJson(response, 200, { jsonrpc: "2.0", id, result: result ?? null });
    } catch (error) {
      const {
        code = -32000,
        message = String(error),
        data,
      } = error as { code?: number; message?: string; data?: unknown }; // thrown by the chain
      sendJson(response, 200, { jsonrpc: "2.0", id, error: { code, message, data } });
    }
  });
}
