import { createClient, http } from "viem";
import { base } from "viem/chains";
import { addComposeHash } from "../../src/chain/add-compose-hash.ts";
import { waitForReceipt } from "../../src/chain/transactions/receipt.ts";
import { type CloudClient, createCloudClient } from "../../src/cloud/create-client.ts";
import { getCvm } from "../../src/cloud/get-cvm.ts";
import type { CvmRuntimeState } from "../../src/cloud/get-cvm-state.ts";
import { confirmCvmPatch, patchCvm } from "../../src/cloud/patch-cvm.ts";
import { watchCvmState } from "../../src/cloud/watch-cvm-state.ts";
import { type ComposeHash, parseAppId, parseComposeHash } from "../../src/core/ids.ts";
import { devAccount } from "../../src/world/chain/client.ts";
import type { ServedWorld } from "./serve.ts";

const pollMs = 5;

/** The two tasks of a client. Both pay for the same transaction; only the first one uses the cloud. */
export interface Updater {
  /** Requests the update, registers the hash, confirms, and follows the CVM until it runs, as clients of the API do. */
  update(): Promise<void>;
  /** Throws if the CVM does not run the last version. */
  check(): Promise<void>;
  /** Only registers the hash. */
  register(): Promise<void>;
}

export function createUpdater(world: ServedWorld, index: number): Updater {
  const cvm = world.cvms[index];
  const apiKey = world.apiKeys[index];
  if (cvm === undefined || apiKey === undefined) throw new RangeError(`There is no CVM ${index}.`);
  const appId = parseAppId(cvm.appId);
  const cloud: CloudClient = createCloudClient({ apiKey, baseUrl: world.cloudUrl });
  const chain = createClient({
    account: devAccount(index),
    chain: base,
    transport: http(world.rpcUrl),
    pollingInterval: pollMs,
  });
  let version = 0;
  let latest: ComposeHash | undefined;

  const send = async (composeHash: ComposeHash) => {
    const transactionHash = await addComposeHash(chain, { appId, composeHash });
    await waitForReceipt(chain, { transactionHash, functionName: "addComposeHash" });
    return transactionHash;
  };
  return {
    update: async () => {
      version += 1;
      const dockerCompose = `services:\n  app:\n    image: registry.example/app:${version}\n`;
      const asked = await patchCvm(cloud, { cvm: cvm.id, dockerCompose });
      if (asked.kind !== "registrationRequired") throw new Error(`The cloud answered ${asked.kind}.`);
      const { composeHash } = asked;
      const transactionHash = await send(composeHash);
      const confirmed = await confirmCvmPatch(cloud, { cvm: cvm.id, composeHash, transactionHash });
      if (confirmed.kind !== "accepted") throw new Error(`The cloud answered ${confirmed.kind}.`);
      let state: CvmRuntimeState | undefined;
      for await (state of watchCvmState(cloud, { cvm: cvm.id, target: "running" }));
      if (state?.status !== "running" || state.bootError !== undefined) throw new Error("The CVM did not boot.");
      latest = composeHash;
    },
    check: async () => {
      const { composeHash } = await getCvm(cloud, { cvm: cvm.id });
      if (latest !== undefined && composeHash !== latest) throw new Error("The CVM runs another version.");
    },
    register: async () => {
      version += 1;
      await send(parseComposeHash(`0x${version.toString(16).padStart(64, "0")}`));
    },
  };
}
