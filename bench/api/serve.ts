// The servers under load, in their own process: a world, and a bare Fastify server that returns the same body. Sends
// their URLs to its parent process, then its CPU time in ms for each message, and ends with it.
import Fastify from "fastify";
import { createClient, http } from "viem";
import { base } from "viem/chains";
import { devAccount } from "../../src/world/chain/client.ts";
import { launchCvm } from "../../src/world/cvms.ts";
import { startWorld } from "../../src/world/start-world.ts";
import { readUsage } from "../usage.mjs";

/** The message to the parent. Each owner has one CVM, so no owner waits for the nonce or the CVM of another. */
export interface ServedWorld {
  readonly cloudUrl: string;
  /** Key `index` is that of a user of its own, because a user may follow only five CVMs at once. */
  readonly apiKeys: readonly string[];
  readonly rpcUrl: string;
  readonly bareUrl: string;
  /** CVM `index` belongs to dev account `index`. */
  readonly cvms: ReadonlyArray<{ readonly id: string; readonly appId: string }>;
}

export interface ServeSettings {
  readonly owners: number;
}

const { owners }: ServeSettings = JSON.parse(process.argv[2] ?? "");
const world = await startWorld({ cvms: false, cloud: { rolloverMs: 0 } });
const cvms = [];
for (let index = 0; index < owners; index += 1) {
  const owner = devAccount(index);
  // Hardhat funds the first twenty.
  await world.ownerClient.request<{
    Method: "hardhat_setBalance";
    Parameters: [string, string];
    ReturnType: boolean;
  }>({ method: "hardhat_setBalance", params: [owner.address, "0x3635c9adc5dea00000"] });
  const { id, appId } = await launchCvm({
    cloud: world.cloudClient,
    chain: createClient({ account: owner, chain: base, transport: http(world.chain.rpcUrl), pollingInterval: 5 }),
    owner: owner.address,
    name: `bench-${index}`,
    dockerCompose: "services:\n  app:\n    image: registry.example/app:0\n",
  });
  cvms.push({ id, appId });
}

const apiKeys = cvms.map((_, index) => `bench-key-${index}`);
const users = apiKeys.map((key, index) => ({ key, username: `user-${index}` }));
world.cloud.seed({ workspaces: [{ name: "local", apiKeys: users }] });

const bare = Fastify();
const { text } = await world.cloudClient.request({ method: "GET", path: `/cvms/${cvms[0]?.id}` });
const body: unknown = JSON.parse(text);
bare.get("/cvm", () => body);
const bareUrl = `${await bare.listen({ host: "127.0.0.1", port: 0 })}/cvm`;

const { rpcUrl } = world.chain;
const served: ServedWorld = { cloudUrl: world.cloud.baseUrl, apiKeys, rpcUrl, bareUrl, cvms };
process.send?.(served);
process.on("message", () => process.send?.(readUsage().cpuMs));
process.once("disconnect", () => process.exit());
