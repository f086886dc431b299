import type { Address } from "viem";
import { type CloudClient, createCloudClient } from "../../../src/cloud/create-client.ts";
import { createCvm } from "../../../src/cloud/create-cvm.ts";
import { getAppCvms } from "../../../src/cloud/get-app-cvms.ts";
import { getAppEncryptionKey } from "../../../src/cloud/get-app-encryption-key.ts";
import { provisionCvm } from "../../../src/cloud/provision-cvm.ts";
import { buildAppCompose } from "../../../src/core/app-compose.ts";
import { encryptEnvironment } from "../../../src/core/environment.ts";
import { type AppId, type ComposeHash, parseComposeHash, parseDeviceId } from "../../../src/core/ids.ts";
import { addComposeHashCall, addDeviceCall, upgradeCall } from "../../../src/core/owner-calls.ts";
import { type RunningMockCloud, startMockCloud } from "../../../src/mock-cloud/index.ts";
import { waitUntilRunning } from "../../../src/world/cvms.ts";
import type { WorldCloudOptions } from "../../../src/world/start-cloud.ts";
import { deployCompiled, epochInterfaces } from "../chain/upgrade-to.ts";
import type { ChainBuilder, Platform } from "./build-chain.ts";
import { type AppCase, type AppName, appCases, hashOf, images, nodes } from "./cases.ts";

/** An app of the upstream, with the CVMs that the upstream's cloud runs. */
export interface UpstreamApp {
  readonly appId: AppId;
  readonly owner: Address;
  readonly kms: Address;
  /** One, or two where the case has a second. */
  readonly cvms: readonly { readonly id: string; readonly composeHash: ComposeHash }[];
}

export const apiKey = "upstream-api-key";
export const kmsSlugs = { live: "kms-base-prod7", current: "kms-base-prod8" } as const;

export interface StartUpstreamCloudParameters extends Pick<Platform, "kms"> {
  readonly rpcUrl: string;
  readonly stateFile: string;
  /** Called when its clock moves, or its state is kept or restored. */
  readonly hooks?: WorldCloudOptions;
}

/** Phala Cloud as the operator of the apps sees it. Its keys are not those of a local world. */
export function startUpstreamCloud({ kms, rpcUrl: rpc, stateFile, hooks }: StartUpstreamCloudParameters) {
  const entry = (which: "live" | "current") => ({
    ...{ slug: kmsSlugs[which], chainId: 8453, contractAddress: kms[which], rpc },
    rootSecret: hashOf(`root secret of the ${which} KMS`),
  });
  return startMockCloud({
    ...{ rolloverMs: 0, receiptRetryMs: 20, stateFile, ...hooks },
    workspaces: [{ name: "operator", apiKeys: [{ key: apiKey }] }],
    kms: [entry("live"), entry("current")],
    nodes,
    osImages: Object.values(images),
  });
}

export const composeOf = (tag: string) =>
  `services:\n  web:\n    image: nginx:${tag}\n    environment:\n      - GREETING\n`;

/** Deploys each app, lives through its years, and creates its CVMs. */
export async function buildApps(
  chain: ChainBuilder,
  platform: Platform,
  cloud: RunningMockCloud,
): Promise<Record<AppName, UpstreamApp>> {
  const client = createCloudClient({ apiKey, baseUrl: cloud.baseUrl });
  const built: [string, UpstreamApp][] = [];
  for (const [name, app] of Object.entries<AppCase>(appCases)) {
    built.push([name, await buildApp({ chain, platform, cloud, client }, name, app)]);
  }
  return Object.fromEntries(built) as Record<AppName, UpstreamApp>; // one for each case
}

interface Builders {
  readonly chain: ChainBuilder;
  readonly platform: Platform;
  readonly cloud: RunningMockCloud;
  readonly client: CloudClient;
}

async function buildApp(builders: Builders, name: string, app: AppCase): Promise<UpstreamApp> {
  const { chain, platform, cloud, client } = builders;
  const [owner, kms] = [platform.owners[app.owner], platform.kms[app.kms]];
  const appId = await chain.deployApp(platform, app, name);
  await chain.addHistory(appId, owner, name, app.events);
  const first = await createFirst(builders, { appId, owner, kms, name, app });
  if (app.hasSecondCvm) await createSecond(builders, { appId, owner, of: first.composeHash });
  if (app.isStopped) await client.request({ method: "POST", path: `/cvms/${first.id}/stop`, json: {} });
  if (app.hasKeyEpochs) {
    const implementation = await deployCompiled(chain.deployer, "EpochApp", [epochInterfaces["0.6.5"]]);
    await chain.sendAs(owner, upgradeCall({ appId, implementation }));
  }
  await cloud.whenIdle();
  const cvms = await getAppCvms(client, { appId });
  return { appId, owner, kms, cvms: cvms.map(({ id, composeHash = first.composeHash }) => ({ id, composeHash })) };
}

interface FirstCvm {
  readonly appId: AppId;
  readonly owner: Address;
  readonly kms: Address;
  readonly name: string;
  readonly app: AppCase;
}

/** The official clients do the same for an app that exists. */
async function createFirst({ chain, client }: Builders, { appId, owner, kms, name, app }: FirstCvm) {
  const environmentNames = ["GREETING"];
  const appCompose = buildAppCompose({ name, dockerCompose: composeOf("1.28"), allowedEnvs: environmentNames });
  const { composeHash, kms: ofCvm } = await provisionCvm(client, {
    ...{ name: `app-${name}`, appCompose, kmsType: "base", kmsContractAddress: kms, environmentNames },
    ...{ nodeId: nodes[0].id, osImage: images[app.osImage ?? "used"].name },
  });
  if (ofCvm === undefined) throw new Error("The cloud names no KMS for the CVM.");
  await chain.sendAs(owner, addComposeHashCall({ appId, composeHash }));
  const { publicKey } = await getAppEncryptionKey(client, { kms: ofCvm.id, appId });
  const { id } = await createCvm(client, {
    ...{ appId, composeHash, environmentNames, kms: ofCvm.id, contractAddress: appId, deployerAddress: owner },
    encryptedEnvironment: encryptEnvironment([{ key: "GREETING", value: `hello from ${name}` }], publicKey),
  });
  await waitUntilRunning(client, { cvm: id });
  return { id, composeHash };
}

/** A CVM on the other node, with a newer document: prepared, allowed, created. */
async function createSecond(
  { chain, client }: Builders,
  { appId, owner, of }: { readonly appId: AppId; readonly owner: Address; readonly of: ComposeHash },
) {
  const path = `/apps/${appId}/instances`;
  const request = { docker_compose_file: composeOf("1.29"), node_id: nodes[1].id, compose_hash: of };
  const prepared = await client.request({ method: "POST", path, json: request, alsoExpected: [465] });
  const { details } = JSON.parse(prepared.text) as { details: { field: string; value: unknown }[] };
  const detail = (field: string) => String(details.find((entry) => entry.field === field)?.value);
  const composeHash = parseComposeHash(detail("compose_hash"));
  await chain.sendAs(owner, addComposeHashCall({ appId, composeHash }));
  await chain.sendAs(owner, addDeviceCall({ appId, deviceId: parseDeviceId(nodes[1].deviceId) }));
  const created = await client.request({ method: "POST", path, json: { token: detail("commit_token") } });
  const { id } = JSON.parse(created.text) as { id: string };
  await waitUntilRunning(client, { cvm: `${id}` });
}
