import { expect } from "chai";
import { getBlock } from "viem/actions";
import { readAllowlist } from "../../../src/chain/read-app.ts";
import { waitForReceipt } from "../../../src/chain/transactions/receipt.ts";
import { getComposeFile } from "../../../src/cloud/get-compose-file.ts";
import { getCvm } from "../../../src/cloud/get-cvm.ts";
import type { AppCompose } from "../../../src/core/app-compose.ts";
import { computeComposeHash } from "../../../src/core/compose-hash.ts";
import type { EnvironmentVariable } from "../../../src/core/environment.ts";
import { type ProvenValues, type ProvingEventName, requireEvent } from "../../../src/core/events.ts";
import { type DeviceId, parseComposeHash, parseTransactionHash } from "../../../src/core/ids.ts";
import { ClientError } from "./client-errors.ts";
import { firstEnvironment, type Lane, type TestCvm } from "./lane.ts";

export interface InForce {
  /** Keys of the app-compose document with their values. */
  readonly document?: Partial<AppCompose>;
  /** Default: as the CVM was created. */
  readonly environment?: readonly EnvironmentVariable[];
  /** Default: that of the document in force. */
  readonly composeHash?: string;
}

/** The backend runs the requested version: state, document, hash, environment and the record of the operation agree. */
export async function expectInForce(lane: Lane, cvm: TestCvm, wanted: InForce): Promise<void> {
  const { cloud, cloudClient } = lane.world;
  await cloud.whenIdle();
  const document = await getComposeFile(cloudClient, { cvm: cvm.id });
  for (const [key, value] of Object.entries(wanted.document ?? {})) expect(document[key], key).to.deep.equal(value);

  const composeHash = computeComposeHash(document);
  if (wanted.composeHash !== undefined) expect(composeHash).to.equal(parseComposeHash(wanted.composeHash));
  expect(await getCvm(cloudClient, { cvm: cvm.id })).to.include({ status: "running", busy: false, composeHash });
  expect(cloud.readEnvironment(cvm.id)).to.deep.equal(wanted.environment ?? firstEnvironment);
  expect(cloud.readHistory(cvm.id).at(-1)).to.include({ state: "done", composeHash });
}

/** The backend ran exactly these operations on the CVM, and all of them succeeded. */
export function expectOperations({ world }: Lane, cvm: TestCvm, kinds: readonly string[]): void {
  const history = world.cloud.readHistory(cvm.id);
  expect(history.map(({ kind, state }) => `${kind} ${state}`)).to.deep.equal(kinds.map((kind) => `${kind} done`));
}

/** Nothing changed: the CVM runs the version that it was created with, and no operation was started. */
export async function expectUntouched(lane: Lane, cvm: TestCvm): Promise<void> {
  const { cloud, cloudClient } = lane.world;
  await cloud.whenIdle();
  const { composeHash } = cvm;
  expect(await getCvm(cloudClient, { cvm: cvm.id })).to.include({ status: "running", busy: false, composeHash });
  expect(cloud.readHistory(cvm.id), "operations").to.have.length(1);
  expect(cloud.readEnvironment(cvm.id)).to.deep.equal(firstEnvironment);
}

/** The chain holds it: the transaction logged the event of this app, and the app's storage says the same. */
export async function expectRegistered(
  lane: Lane,
  cvm: TestCvm,
  wanted: { readonly composeHash: string; readonly transactionHash: string },
): Promise<void> {
  const composeHash = parseComposeHash(wanted.composeHash);
  await expectEvent(lane, cvm, wanted.transactionHash, "ComposeHashAdded", composeHash);
  expect(await isHashAllowed(lane, cvm, composeHash), "hash on chain").to.equal(true);
}

export async function expectEvent<name extends ProvingEventName>(
  lane: Lane,
  cvm: TestCvm,
  transaction: string,
  eventName: name,
  value: ProvenValues[name],
): Promise<void> {
  const transactionHash = parseTransactionHash(transaction);
  const receipt = await waitForReceipt(lane.world.ownerClient, { transactionHash, functionName: eventName });
  requireEvent(receipt, { emitter: cvm.appId, eventName, value });
}

/** The newest block holds a transaction that logged this event of the app. */
export async function expectNewestEvent<name extends ProvingEventName>(
  lane: Lane,
  cvm: TestCvm,
  eventName: name,
  value: ProvenValues[name],
): Promise<void> {
  const { transactions } = await getBlock(lane.world.ownerClient, { blockTag: "latest" });
  const [transaction = ""] = transactions;
  await expectEvent(lane, cvm, transaction, eventName, value);
}

export async function isHashAllowed(lane: Lane, { appId }: TestCvm, hash: string): Promise<boolean | undefined> {
  const composeHash = parseComposeHash(hash);
  return (await readAllowlist(lane.world.ownerClient, { appId, composeHash })).composeHashAllowed;
}

export async function readDevices(lane: Lane, { appId }: TestCvm, deviceId: DeviceId) {
  const { allowAnyDevice, deviceListed } = await readAllowlist(lane.world.ownerClient, { appId, deviceId });
  return { allowAnyDevice, deviceListed };
}

/** The client reports a refusal of the API as one, with the status and, where it reads codes, the code. */
export async function expectRefusal(
  call: Promise<unknown>,
  wanted: { readonly status?: number; readonly code?: string },
): Promise<ClientError> {
  const answer = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in answer)) throw new Error(`Expected a refusal with ${wanted.status}, got ${short(answer.value)}`);
  const { error } = answer;
  if (!(error instanceof ClientError)) throw error;
  if (wanted.status !== undefined && error.status !== wanted.status)
    throw new Error(`Expected status ${wanted.status}, got ${error.status}: ${error}`);
  if (wanted.code !== undefined) expect(error.code, "error code").to.equal(wanted.code);
  return error;
}

function short(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 300) ?? "nothing";
}
