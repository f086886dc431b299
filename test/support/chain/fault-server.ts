import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

export interface FaultServer {
  readonly port: number;
  close(): Promise<void>;
}

/** An HTTP server on loopback that answers with the given listener. */
export async function startFaultServer(listener: RequestListener): Promise<FaultServer> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port, // a TCP server's address is never a string
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** A port of loopback on which no server listens. */
export async function closedPort(): Promise<number> {
  const server = await startFaultServer(() => {});
  await server.close();
  return server.port;
}
