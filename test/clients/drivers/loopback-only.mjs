// Preloaded into every Node client: a call that would leave this machine fails, so that no test can pass or fail
// because of a server elsewhere.
import net from "node:net";

const { connect } = net.Socket.prototype;
const loopback = new Set(["127.0.0.1", "::1", "localhost"]);

net.Socket.prototype.connect = function connectToLoopback(...args) {
  const [first] = Array.isArray(args[0]) ? args[0] : args;
  const host = typeof first === "object" && first !== null ? first.host : args[1];
  const isLocal = (typeof first === "object" && first?.path !== undefined) || host === undefined || loopback.has(host);
  if (!isLocal) throw new Error(`The client tried to reach ${host}.`);
  return connect.apply(this, args);
};
