// Preloaded into a client's process: counts its HTTP requests, and writes them and its CPU time into the file USAGE.
import { subscribe } from "node:diagnostics_channel";
import { writeFileSync } from "node:fs";

let requests = 0;
// `fetch`, and `node:http`.
for (const channel of ["undici:request:create", "http.client.request.start"]) {
  subscribe(channel, () => {
    requests += 1;
  });
}

export function readUsage() {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000, requests };
}

const { USAGE } = process.env;
if (USAGE !== undefined) process.once("exit", () => writeFileSync(USAGE, JSON.stringify(readUsage())));
