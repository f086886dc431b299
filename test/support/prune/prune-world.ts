import { type Address, keccak256, stringToHex } from "viem";
import { sendBatch } from "../../../src/batch/send-batch.ts";
import { addComposeHash } from "../../../src/chain/add-compose-hash.ts";
import { memoryLedger } from "../../../src/chain/transactions/ledger.ts";
import { waitForReceipt } from "../../../src/chain/transactions/receipt.ts";
import { getAppCvms } from "../../../src/cloud/get-app-cvms.ts";
import { prepareCvmUpdate } from "../../../src/cloud/prepare-cvm-update.ts";
import { type AppId, type ComposeHash, parseComposeHash } from "../../../src/core/ids.ts";
import { acceptOwnershipCall, addComposeHashCall, transferOwnershipCall } from "../../../src/core/owner-calls.ts";
import { readAllowedKeys } from "../../../src/history/compare-with-state.ts";
import { readHistory } from "../../../src/history/read-history.ts";
import type { PruneSource } from "../../../src/prune/read-allowlist-use.ts";
import { type StartWorldParameters, startWorld, type World } from "../../../src/world/start-world.ts";
import { deploySafe, executeSafe } from "../chain/deploy-owner-contracts.ts";
import { multiSend, multiSendCode } from "../chain/safe.ts";

/** A local world and the app that is pruned in it. */
export interface PruneWorld extends World {
  readonly appId: AppId;
  /** The app's first CVM. */
  readonly cvm: string;
  readonly firstHash: ComposeHash;
}

export async function startPruneWorld(parameters: StartWorldParameters = {}): Promise<PruneWorld> {
  const world = await startWorld(parameters);
  const { onChain } = world.cvms;
  if (onChain?.appId === undefined) throw new Error("The world began without its on-chain CVM.");
  const [first] = await getAppCvms(world.cloudClient, { appId: onChain.appId });
  if (first?.composeHash === undefined) throw new Error("The world's CVM has no compose hash.");
  return { ...world, appId: onChain.appId, cvm: onChain.id, firstHash: first.composeHash };
}

export const compose = (tag: string) => `services:\n  web:\n    image: nginx:${tag}\n`;

/** A hash without a document. */
export function fillerHash(name: string): ComposeHash {
  return parseComposeHash(keccak256(stringToHex(name)));
}

/** The sources of a prune of the world's app. */
export function sourceOf(world: PruneWorld, changes: Partial<PruneSource> = {}): PruneSource {
  const chain = world.ownerClient;
  return { chain, cloud: world.cloudClient, readHistory: () => readHistory(chain, { appId: world.appId }), ...changes };
}

export async function allow(world: PruneWorld, composeHash: ComposeHash): Promise<void> {
  const transactionHash = await addComposeHash(world.ownerClient, { appId: world.appId, composeHash });
  await waitForReceipt(world.ownerClient, { transactionHash, functionName: "addComposeHash" });
}

/** Allows this number of hashes that no CVM uses, in this order. */
export async function allowFillers(world: PruneWorld, count: number, prefix = "old"): Promise<ComposeHash[]> {
  const hashes = Array.from({ length: count }, (_, index) => fillerHash(`${prefix} version ${index}`));
  await sendBatch(world.ownerClient, {
    calls: hashes.map((composeHash) => addComposeHashCall({ appId: world.appId, composeHash })),
    mode: "none",
    chainId: world.chain.id,
    ledger: memoryLedger(),
  });
  return hashes;
}

export interface PreparedInstance {
  readonly composeHash: ComposeHash;
  readonly token: string;
}

/** Prepares a further CVM with a document of its own, and does not register it. */
export async function prepareInstance(world: PruneWorld, tag: string): Promise<PreparedInstance> {
  const { text } = await world.cloudClient.request({
    method: "POST",
    path: `/apps/${world.appId}/instances`,
    json: { docker_compose_file: compose(tag), node_id: 1, compose_hash: world.firstHash },
    alsoExpected: [465],
  });
  const { details } = JSON.parse(text) as { details: { field: string; value: unknown }[] };
  const detail = (field: string) => String(details.find((entry) => entry.field === field)?.value);
  return { composeHash: parseComposeHash(detail("compose_hash")), token: detail("commit_token") };
}

/** Creates what was prepared; its hash must be allowed by now. */
export async function commitInstance(world: PruneWorld, { token }: PreparedInstance): Promise<void> {
  await world.cloudClient.request({ method: "POST", path: `/apps/${world.appId}/instances`, json: { token } });
}

/** A further CVM that runs a document of its own. */
export async function addReplica(world: PruneWorld, tag: string): Promise<ComposeHash> {
  const prepared = await prepareInstance(world, tag);
  await allow(world, prepared.composeHash);
  await commitInstance(world, prepared);
  await world.cloud.whenIdle();
  return prepared.composeHash;
}

export interface PreparedUpdate {
  readonly composeHash: ComposeHash;
  readonly token: string;
}

/** Prepares an update of a CVM for a later commit, and does not register it. */
export async function prepareUpdate(world: PruneWorld, tag: string, cvm = world.cvm): Promise<PreparedUpdate> {
  const outcome = await prepareCvmUpdate(world.cloudClient, { cvm, dockerCompose: compose(tag) });
  if (outcome.kind !== "registrationRequired") throw new Error(`The update was not prepared: ${outcome.kind}.`);
  return outcome;
}

export async function commitUpdate(world: PruneWorld, { token }: PreparedUpdate, cvm = world.cvm): Promise<void> {
  await world.cloudClient.request({ method: "POST", path: `/cvms/${cvm}/commit-update`, json: { token } });
}

export async function control(world: PruneWorld, cvm: string, command: "start" | "stop" | "restart"): Promise<void> {
  await world.cloudClient.request({ method: "POST", path: `/cvms/${cvm}/${command}`, json: {} });
  await world.cloud.whenIdle();
}

/** Returns the hashes that the app's contract allows now. */
export async function allowedNow(world: PruneWorld, composeHashes: readonly ComposeHash[]): Promise<ComposeHash[]> {
  const blockNumber = await world.chain.client.getBlockNumber({ cacheTime: 0 });
  const { appId } = world;
  const view = "allowedComposeHashes";
  return [
    ...(await readAllowedKeys(world.ownerClient, { appId, view, keys: composeHashes, blockNumber, retryDelayMs: 10 })),
  ];
}

/** Makes a Safe of one owner the owner of the app. */
export async function giveToSafe(world: PruneWorld): Promise<Address> {
  const { owner, ownerClient, appId, chain } = world;
  await chain.client.setCode({ address: multiSend, bytecode: multiSendCode });
  const safe = await deploySafe(ownerClient, { payer: owner, owners: [owner.address], threshold: 1 });
  await sendBatch(ownerClient, { calls: [transferOwnershipCall({ appId, newOwner: safe })], mode: "none" });
  await executeSafe(ownerClient, owner, { safe, to: appId, data: acceptOwnershipCall({ appId }).data, operation: 0 });
  return safe;
}
