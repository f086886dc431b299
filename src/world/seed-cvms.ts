import type { CloudClient } from "../cloud/create-client.ts";
import { type Cvm, parseCvm } from "../cloud/cvm.ts";
import { appList20260121Schema } from "../cloud/protocol.ts";
import { parseReply } from "../cloud/replies.ts";
import { launchCvm } from "./launch-cvm.ts";
import { launchOffChainCvm } from "./launch-off-chain-cvm.ts";
import type { OwnerClient } from "./owner-client.ts";
import type { SeededCvm, WorldState } from "./state/world-state.ts";

/** CVMs every world begins with. One is missing where it could not be created, or has been deleted since. */
export interface WorldCvms {
  /** Its KMS is a contract on the world's chain. */
  readonly onChain?: WorldCvm;
  /** Its KMS keeps its policy to itself. */
  readonly offChain?: WorldCvm;
}

export interface WorldCvm extends Pick<Cvm, "id" | "name" | "appId"> {}

const names = { onChain: "onchain-app", offChain: "offchain-app" } as const;

/** Small enough to read, and with something to change: a tag and a variable. */
const dockerCompose = `services:
  web:
    image: nginx:1.28
    environment:
      - GREETING
    ports:
      - "80:80"
`;
const environment = [{ key: "GREETING", value: "hello" }];

export interface SettleCvmsParameters {
  readonly state: Pick<WorldState, "isSeeded" | "noteSeeded">;
  readonly cloud: CloudClient;
  /** Without it the on-chain CVM is left out: its app must be deployed by somebody. */
  readonly owner: OwnerClient | undefined;
  readonly withCvms: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Creates the two CVMs, both at once, in a world that never had them. One that was deleted later stays away; one that
 * a start cut short has left is taken as it is.
 */
export async function settleCvms(parameters: SettleCvmsParameters): Promise<WorldCvms> {
  const { state, cloud, withCvms } = parameters;
  if (withCvms) {
    const known = await findCvms(cloud);
    const launches = launchers(parameters).map(async ([cvm, launch]) => {
      if (state.isSeeded(cvm)) return;
      if (known[cvm] === undefined) await launch();
      state.noteSeeded(cvm);
    });
    // Whatever one of them comes to, the other one must not go on behind a world that is being closed.
    const failed = (await Promise.allSettled(launches)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }
  return findCvms(cloud);
}

function launchers(parameters: SettleCvmsParameters): Array<[SeededCvm, () => Promise<unknown>]> {
  const { cloud, owner, signal } = parameters;
  const common = { cloud, dockerCompose, environment, signal };
  const offChain = () => launchOffChainCvm({ ...common, name: names.offChain });
  if (owner === undefined) return [["offChain", offChain]];
  const { account, chain } = owner;
  const kmsType = chain.id === 1 ? "ethereum" : "base";
  const onChain = () => launchCvm({ ...common, chain: owner, owner: account.address, name: names.onChain, kmsType });
  return [
    ["offChain", offChain],
    ["onChain", onChain],
  ];
}

async function findCvms(cloud: CloudClient): Promise<WorldCvms> {
  const [onChain, offChain] = await Promise.all([find(cloud, names.onChain), find(cloud, names.offChain)]);
  return { ...(onChain && { onChain }), ...(offChain && { offChain }) };
}

/** The oldest CVM with this name, which replicas share. */
async function find(cloud: CloudClient, name: string): Promise<WorldCvm | undefined> {
  const apiVersion = "2026-01-21";
  const reply = await cloud.request({ method: "GET", path: `/apps?search=${name}&page_size=1000`, apiVersion });
  const { dstack_apps: apps } = parseReply(reply, (body) => appList20260121Schema.parse(body));
  const found = apps.flatMap(({ cvms }) => cvms).find((cvm) => cvm.name === name);
  if (found === undefined) return undefined;
  const { id, appId } = parseCvm(found, apiVersion);
  return { id, name, appId };
}
