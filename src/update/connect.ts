import { type Account, type Address, createClient, custom } from "viem";
import { parseAccount } from "viem/accounts";
import type { ChainClient } from "../chain/client.ts";
import { requireChain } from "../chain/client.ts";
import { findKmsGeneration, readAllowlist } from "../chain/read-app.ts";
import { readKmsPublicKey } from "../chain/read-kms.ts";
import { systemClock } from "../chain/retry.ts";
import type { NamedFees } from "../chain/transactions/fees.ts";
import { readStageProgress } from "../chain/transactions/finality.ts";
import { estimatePrice } from "../chain/transactions/price.ts";
import { commitCvmUpdate } from "../cloud/commit-cvm-update.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { getAppEncryptionKey } from "../cloud/get-app-encryption-key.ts";
import { getComposeFile } from "../cloud/get-compose-file.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { getCvmState } from "../cloud/get-cvm-state.ts";
import { safeGetPendingUpdate } from "../cloud/get-pending-update.ts";
import {
  type PatchAccepted as CloudAccepted,
  type RegistrationRequired as CloudRegistration,
  confirmCvmPatch,
  type PatchOutcome,
  patchCvm,
} from "../cloud/patch-cvm.ts";
import { prepareCvmUpdate } from "../cloud/prepare-cvm-update.ts";
import { watchCvmState } from "../cloud/watch-cvm-state.ts";
import type { JudgedContract } from "../core/generation.ts";
import type { AppId, ComposeHash, Hex } from "../core/ids.ts";
import { parseFixedHex } from "../core/ids.ts";
import { CloudProtocolError, CloudResponseError, UntrustedEncryptionKeyError } from "../errors/index.ts";
import type { PaymentParameters } from "./connect-payments.ts";
import { connectPayments, planPayment } from "./connect-payments.ts";
import { createUpdateEmitter, type UpdateEmitter, type UpdateEvent } from "./events.ts";
import type { ChainPort, CloudPort, CvmSnapshot, PatchAccepted, PatchAnswer } from "./ports.ts";
import { connectProgress } from "./progress.ts";
import {
  defaultUpdateSettings,
  type UpdateRequest,
  type UpdateRun,
  type UpdateSettings,
  type UpdateTimeouts,
} from "./run.ts";

/** Connects the update's cloud port to the cloud's API. Reports every call to the reporter. */
export function connectCloud(cloud: CloudClient, emitter: UpdateEmitter, now: () => number): CloudPort {
  const client = observe(cloud, emitter, now);
  return {
    // This API version returns the compose hash in force and the current operation.
    readCvm: (cvm) => getCvm(client, { cvm, apiVersion: "2026-01-21" }),
    readAppCompose: (cvm) => getComposeFile(client, { cvm }),
    readEncryptionKey: (cvm, parameters) => readEncryptionKey(client, cvm, parameters),
    patch: async (cvm, draft) => toAnswer(await patchCvm(client, { cvm, ...draft })),
    prepare: async (cvm, draft) => {
      const outcome = await prepareCvmUpdate(client, { cvm, ...draft });
      return outcome.kind === "accepted" ? toAccepted(outcome) : { ...toRegistration(outcome), token: outcome.token };
    },
    commit: async (cvm, commit) => toAccepted(await commitCvmUpdate(client, { cvm, ...commit })),
    readExpiry: (cvm, composeHash) => readExpiry(client, cvm, composeHash),
    confirm: async (cvm, composeHash, transactionHash) =>
      toAnswer(await confirmCvmPatch(client, { cvm, composeHash, transactionHash })),
    watchStatus: (cvm, { target, signal }) => watchStatus(client, cvm, target, signal),
    readBootError: async (cvm) => (await getCvmState(client, { cvm })).bootError,
    fingerprint: client.fingerprint,
  };
}

const longestStreamMs = 600_000;

async function* watchStatus(client: CloudClient, cvm: string, target: string, signal: AbortSignal) {
  for await (const { status } of watchCvmState(client, { cvm, target, timeoutMs: longestStreamMs, signal }))
    yield status;
}

/** Reads the encryption key for the update's app. Throws if this second answer of the cloud names another app. */
async function readEncryptionKey(
  client: CloudClient,
  cvm: string,
  { appId, kmsPublicKey }: { readonly appId: AppId; readonly kmsPublicKey: Hex | undefined },
): Promise<string> {
  // Only this API version names the KMS in the form that the key endpoint accepts.
  const detail = await getCvm(client, { cvm, apiVersion: "2025-10-28" });
  const { kmsReference: kms, encryptionPublicKey } = detail;
  if (detail.appId !== appId) {
    const problem = `it names app ${detail.appId ?? "none"} for the CVM, but an earlier answer named ${appId}`;
    throw new CloudProtocolError("GET", `/cvms/${cvm}`, problem);
  }
  if (kms !== undefined && (kmsPublicKey !== undefined || detail.chainId !== undefined)) {
    const { publicKey } = await getAppEncryptionKey(client, { kms, appId, expectedKmsPublicKey: kmsPublicKey });
    return publicKey;
  }
  if (kmsPublicKey !== undefined) {
    throw new UntrustedEncryptionKeyError({
      context: { cvm, reason: "the cloud names no KMS that could have signed it" },
    });
  }
  if (encryptionPublicKey !== undefined) return encryptionPublicKey;
  throw new CloudProtocolError("GET", `/cvms/${cvm}`, "the CVM has no encryption key");
}

/** Not every cloud can be asked for it, and nothing depends on it. */
async function readExpiry(client: CloudClient, { appId, vmUuid }: CvmSnapshot, composeHash: ComposeHash) {
  if (appId === undefined || vmUuid === undefined) return undefined;
  const pending = await safeGetPendingUpdate(client, { appId, vmUuid, composeHash });
  return pending.success ? pending.data?.expiresAt : undefined;
}

function toAnswer(outcome: PatchOutcome): PatchAnswer {
  return outcome.kind === "accepted" ? toAccepted(outcome) : toRegistration(outcome);
}

function toAccepted({ kind, correlationId }: CloudAccepted): PatchAccepted {
  return { kind, correlationId };
}

function toRegistration({ kind, composeHash, appId, deviceId, kms, correlationId }: CloudRegistration) {
  return { kind, composeHash, appId, deviceId, chainId: kms?.chainId, correlationId };
}

function observe(client: CloudClient, emitter: UpdateEmitter, now: () => number): CloudClient {
  const observed = async <Reply extends { readonly status: number }>(
    { method, path }: { readonly method: string; readonly path: string },
    work: () => Promise<Reply>,
  ): Promise<Reply> => {
    const start = now();
    const report = (status: number | undefined) => {
      const { step } = emitter;
      if (step !== undefined) emitter.emit({ kind: "http", step, method, path, status, durationMs: now() - start });
    };
    let reply: Reply;
    try {
      reply = await work();
    } catch (error) {
      report(error instanceof CloudResponseError ? error.status : undefined);
      throw error;
    }
    report(reply.status);
    return reply;
  };
  return {
    ...client,
    request: (request) => observed(request, () => client.request(request)),
    stream: (request) => observed({ method: "GET", path: request.path }, () => client.stream(request)),
  };
}

export interface UpdateCvmParameters
  extends UpdateRequest,
    Partial<Omit<UpdateSettings, "timeouts">>,
    Pick<PaymentParameters, "ledger" | "until" | "transactionHash" | "onUnderpriced" | keyof NamedFees> {
  readonly cloud: CloudClient;
  /**
   * Any viem client of the app's chain. Without an account it cannot pay, but some updates need no payment. Leave it
   * out only for a CVM whose KMS keeps its policy off chain. If a chain is given and the cloud says that there is no
   * contract, the update is refused.
   */
  readonly chain?: ChainClient | undefined;
  /** Signs and pays. Give a bare address if the node holds its key. @default the chain client's account */
  readonly account?: Account | Address | undefined;
  readonly timeouts?: Partial<UpdateTimeouts> | undefined;
  /** Called with each event as it happens. */
  readonly onStep?: ((event: UpdateEvent) => void) | undefined;
  /** Stops the update between two steps or during a wait. Call again with the same ledger to continue. */
  readonly signal?: AbortSignal | undefined;
}

/** Connects an update to the real chain, cloud and clock. */
export function connectUpdate(parameters: UpdateCvmParameters): UpdateRun {
  const { cloud, chain = noChain(), account, ledger, onStep, signal, ...request } = parameters;
  const emitter = createUpdateEmitter(systemClock.now, onStep);
  const { waitForRollover, pollCloudMs, pollChainMs } = { ...defaultUpdateSettings, ...withoutUndefined(parameters) };
  const timeouts = { ...defaultUpdateSettings.timeouts, ...withoutUndefined(parameters.timeouts ?? {}) };
  const { until, transactionHash, onUnderpriced, maxFeePerGas, maxPriorityFeePerGas } = parameters;
  return {
    request,
    settings: { waitForRollover, pollCloudMs, pollChainMs, timeouts },
    emitter,
    signal,
    clock: systemClock,
    progress: connectProgress(ledger),
    cloud: connectCloud(cloud, emitter, systemClock.now),
    isChainNamed: parameters.chain !== undefined,
    chain: connectChain(chain, {
      ...{ account, ledger, until, transactionHash, onUnderpriced, signal, maxFeePerGas, maxPriorityFeePerGas },
      ...{ timeoutMs: timeouts.receiptMs, finalityTimeoutMs: timeouts.finalityMs, pollIntervalMs: pollChainMs },
      onEvent: (event) => {
        const { step } = emitter;
        if (step !== undefined) emitter.emit({ kind: "transaction", step, event });
      },
    }),
  };
}

/** For CVMs without a contract: their updates do not use the chain. */
function noChain(): ChainClient {
  const request = () => Promise.reject(new Error("No chain was given for this update."));
  return createClient({ transport: custom({ request }, { retryCount: 0 }) });
}

function withoutUndefined<Values extends object>(values: Values): Partial<Values> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<Values>; // same keys, fewer
}

/** Connects the update's chain port to a viem client and a ledger. */
export function connectChain(client: ChainClient, payments: PaymentParameters): ChainPort {
  const { maxFeePerGas, maxPriorityFeePerGas } = payments;
  const namedFees = { maxFeePerGas, maxPriorityFeePerGas };
  const { account = client.account } = payments;
  return {
    signer: account && parseFixedHex("The signer's address", parseAccount(account).address, 20),
    readChainId: () => requireChain(client),
    judgeKms: (kms) => judgeKms(client, kms),
    readKmsPublicKey: (kms) => readKmsPublicKey(client, { kms }),
    async readAllowlist({ appId, composeHash, deviceId, kms }) {
      const [allowlist, ofKms] = await Promise.all([
        readAllowlist(client, { appId, composeHash, deviceId }),
        kms === undefined ? [] : judgeKms(client, kms),
      ]);
      return {
        blockNumber: allowlist.blockNumber,
        owner: parseFixedHex("An owner", allowlist.owner, 20),
        composeHashAllowed: allowlist.composeHashAllowed === true,
        deviceAllowed: deviceId === undefined || allowlist.deviceAllowed === true,
        contracts: [{ role: "app", address: appId, generation: allowlist.generation }, ...ofKms],
      };
    },
    readStage: async (tag) => readStageProgress(client, { chainId: await requireChain(client), tag }),
    estimatePrice: async (payments, from) => {
      const plans = await Promise.all(payments.map((payment) => planPayment(client, from, payment)));
      return estimatePrice(client, { transactions: plans.map(({ priced }) => priced), ...namedFees });
    },
    openPayments: (update) => connectPayments(client, { ...payments, account }, update),
  };
}

async function judgeKms(client: ChainClient, kms: Hex): Promise<JudgedContract[]> {
  const generation = await findKmsGeneration(client, { address: kms });
  return generation === undefined ? [] : [{ role: "KMS", address: kms, generation }];
}
