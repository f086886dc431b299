import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";

/** Whether a server listens on this port of loopback. */
export function isListening(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.once("connect", () => resolve(Boolean(socket.destroy())));
    socket.once("error", () => resolve(false));
  });
}

/** Sockets this process has open, servers and connections. */
export function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
}

/** Resolves once no more sockets are open than `baseline`: the other end closes a little later. */
export async function untilSocketsAre(baseline: number, withinMs = 5000): Promise<void> {
  const start = performance.now();
  while (openSockets() > baseline) {
    if (performance.now() - start > withinMs) throw new Error(`${openSockets()} sockets are open, not ${baseline}.`);
    await nextTurn();
  }
}
