import { memoryLedger } from "../chain/transactions/ledger.ts";
import { requireNoKeyEpochs } from "../core/generation.ts";
import type { ComposeHash } from "../core/ids.ts";
import type { PriceEstimate } from "../core/price.ts";
import { WrongChainError } from "../errors/index.ts";
import { connectUpdate, type UpdateCvmParameters } from "./connect.ts";
import type { PaymentStep } from "./progress.ts";
import { describeWarnings, type UpdateResult, type UpdateRun, type UpdateTarget } from "./run.ts";
import {
  buildDocument,
  doubtsAbout,
  encryptEnvironment,
  proveDocument,
  type RequestedDocument,
} from "./steps/document.ts";
import { readCvm } from "./steps/read-cvm.ts";
import { checkRequest } from "./trust.ts";

export interface PlanUpdateParameters extends Omit<UpdateCvmParameters, "ledger" | "waitForRollover"> {}

/** What an update would do. */
export interface UpdatePlan
  extends Pick<UpdateResult, "cvm" | "appId" | "keyProof" | "documentProof" | "droppedVariables" | "warnings"> {
  /** `unchanged`: the CVM already runs the requested compose. */
  readonly outcome: "planned" | "unchanged";
  /** The CVM's status, as the cloud names it. */
  readonly status: string;
  /** Null for a CVM whose KMS keeps its policy off chain. */
  readonly chainId: number | null;
  /** Hash of the requested document, computed here. */
  readonly composeHash: ComposeHash;
  readonly previousComposeHash: ComposeHash | undefined;
  /**
   * The transactions that this document needs. The cloud decides whether a change of the environment alone needs one,
   * and whether the CVM moves to a device that must be allowed too.
   */
  readonly planned: readonly PaymentStep[];
  /** Null if nothing has to be paid. */
  readonly price: PriceEstimate | null;
}

/**
 * Tells what `updateCvm` would do with the same parameters: makes its checks, computes the compose hash and the price of
 * allowing it. Does not ask the cloud to change anything, and signs, sends and records nothing. Without an account, the
 * price is what the app's owner would pay.
 *
 * @throws DstackError as updateCvm, for everything that it checks before the cloud is asked for the update
 *
 * @example
 * import { planUpdate } from "dstack-toolkit/update";
 * import { client, cloud, dockerCompose } from "./app.js";
 * const { composeHash, warnings } = await planUpdate({ cloud, chain: client, cvm: "my-app", dockerCompose });
 */
export async function planUpdate(parameters: PlanUpdateParameters): Promise<UpdatePlan> {
  const given = connectUpdate({ ...parameters, ledger: memoryLedger() });
  const run: UpdateRun = { ...given, request: await checkRequest(given.request) };
  const target = await readCvm(run);
  const document = await buildDocument(run, target);
  const { composeHash, droppedVariables, unsetNames, isUnchanged } = document;
  const plan = {
    ...{ cvm: target.id, appId: target.appId, chainId: target.chainId ?? null, status: target.status },
    ...{ composeHash, previousComposeHash: target.composeHash, droppedVariables },
  };
  if (isUnchanged && run.request.environment === undefined) {
    const nothing = { keyProof: undefined, documentProof: undefined, warnings: [], planned: [], price: null };
    return { ...plan, ...nothing, outcome: "unchanged" };
  }
  const documentProof = isUnchanged ? undefined : await proveDocument(run, target, document);
  const keyProof = (await encryptEnvironment(run, target))?.proof;
  const price = isUnchanged ? undefined : await priceHash(run, target, document);
  return {
    ...plan,
    ...{ keyProof, documentProof, outcome: "planned" },
    warnings: describeWarnings({ keyProof, documentProof, droppedVariables, unsetNames, ...doubtsAbout(run.request) }),
    planned: price === undefined ? [] : ["addComposeHash"],
    price: price ?? null,
  };
}

/** What allowing the document's hash will cost; undefined if it is allowed, or for a CVM without a contract. */
async function priceHash(
  { chain, request }: UpdateRun,
  { appId, chainId, kmsContractAddress }: UpdateTarget,
  { composeHash }: RequestedDocument,
): Promise<PriceEstimate | undefined> {
  if (chainId === undefined) return undefined;
  const actual = await chain.readChainId();
  if (actual !== chainId) throw new WrongChainError(chainId, actual);
  const kms = request.kms ?? kmsContractAddress;
  const allowlist = await chain.readAllowlist({ appId, composeHash, deviceId: undefined, kms });
  const { contracts, owner, composeHashAllowed } = allowlist;
  requireNoKeyEpochs(contracts, request.acceptKeyEpochs === true);
  if (composeHashAllowed) return undefined;
  const payment = { chainId, appId, step: "addComposeHash", value: composeHash } as const;
  return chain.estimatePrice([payment], chain.signer ?? owner);
}
