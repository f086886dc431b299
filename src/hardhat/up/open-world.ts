import { privateKeyToAccount } from "viem/accounts";
import { parseFixedHex } from "../../core/ids.ts";
import type { EventListener } from "../../mock-cloud/index.ts";
import { type AttachedWorld, attachWorld } from "../../world/attach-world.ts";
import { startWorld, type World } from "../../world/start-world.ts";
import type { UpSettings } from "./parse-arguments.ts";

export interface OpenWorldParameters {
  readonly settings: UpSettings;
  /** The owner's private key for an existing chain, asked for only there. Empty if there is none. */
  readonly readOwnerKey: () => Promise<string>;
  readonly adminKey: string | undefined;
  readonly onCloudEvent: EventListener;
  readonly signal: AbortSignal;
}

/** Slow enough for a person to see a CVM go away and come back. */
const rolloverMs = 1500;

export async function openWorld(parameters: OpenWorldParameters): Promise<World | AttachedWorld> {
  const { settings, readOwnerKey, adminKey, onCloudEvent, signal } = parameters;
  const { chain, cloudPort, stateFile, deviceLogin, privateWebhooks, allowedHosts, allowedOrigins } = settings;
  const guard = { allowedHosts, allowedOrigins };
  const admin = adminKey === undefined ? {} : { admin: { key: adminKey } };
  const cloud = { port: cloudPort, rolloverMs, onEvent: onCloudEvent, deviceLogin, privateWebhooks, ...admin };
  if (chain.kind === "own") {
    return startWorld({ chainPort: chain.port, forkUrl: chain.forkUrl, stateFile, cloud, signal, ...guard });
  }
  const key = await readOwnerKey();
  const owner = key === "" ? undefined : privateKeyToAccount(parseFixedHex("The owner's private key", key, 32));
  return attachWorld({
    rpcUrl: chain.rpcUrl,
    kms: chain.kms,
    owner,
    stateFile,
    cloud: { ...cloud, ...guard },
    signal,
  });
}
