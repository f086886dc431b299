import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

interface Provider {
  request(call: { method: string; params?: unknown }): Promise<unknown>;
}

/** Serves an in-process chain over HTTP, for a process of its own to read. */
export async function serveRpc(provider: Provider): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString());
    const answer = await provider.request({ method, params }).then(
      (result) => ({ result }),
      (error: { code?: number; message: string; data?: unknown }) => ({
        error: { code: error.code ?? -32603, message: error.message, data: error.data },
      }),
    );
    response.setHeader("Content-Type", "application/json").end(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // listening on TCP
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
