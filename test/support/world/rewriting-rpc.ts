import { sendJson, startServer, type TestServer } from "../update/http-server.ts";

/** Passes JSON-RPC calls on to another endpoint and changes the results on their way back. */
export function rewriteRpc(url: string, rewrite: (method: string, result: unknown) => unknown): Promise<TestServer> {
  return startServer(async (response, { body }) => {
    const call = JSON.parse(body) as { method: string };
    const upstream = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const answer = (await upstream.json()) as { result?: unknown };
    sendJson(response, 200, { ...answer, ...("result" in answer && { result: rewrite(call.method, answer.result) }) });
  });
}
