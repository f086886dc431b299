import { getAddress, type Hex, isAddressEqual, isHex, zeroAddress } from "viem";
import { z } from "zod";
import type { ChainClient } from "../chain/client.ts";
import { parseFixedHex } from "../core/ids.ts";
import { hashSafeTx, type SafeTx } from "../core/safe.ts";
import { encodeSafeSignatures, type SafeSignature } from "../core/safe-signing.ts";
import { cleanText } from "../core/text.ts";
import { isDstackError, SafeServiceContradictedError, SafeServiceError } from "../errors/index.ts";
import type { SafeAccount } from "./safe-account.ts";
import { type CheckedConfirmations, checkConfirmations } from "./safe-confirmations.ts";
import type { SafeService } from "./safe-service.ts";

/** A transaction that waits for the signatures of a Safe's owners, or for its execution. */
export interface QueuedSafeTransaction extends CheckedConfirmations {
  readonly safeTx: SafeTx;
  /** Computed here, not the service's word. */
  readonly safeTxHash: Hex;
  /** When the service got it, by its own word. */
  readonly submittedAt: string | undefined;
}

const transactionsPerPage = 100;
/** A service that invents transactions without end must not fill the memory. */
const mostTransactions = 1_000;

const address = z.string().transform((raw) => getAddress(parseFixedHex("An address", raw, 20)));
const orZero = address.nullish().transform((found) => found ?? zeroAddress);
const uint = z
  .union([z.int().min(0), z.string().regex(/^\d{1,78}$/)])
  .nullish()
  .transform((raw) => BigInt(raw ?? 0));
const bytes = z
  .custom<Hex>((raw) => isHex(raw, { strict: true }) && raw.length % 2 === 0)
  .transform((raw): Hex => `0x${raw.slice(2).toLowerCase()}`);
const transactionSchema = z.looseObject({
  safe: address,
  to: address,
  value: uint,
  data: bytes.nullish().transform((data) => data ?? "0x"),
  operation: z.union([z.literal(0), z.literal(1)]),
  safeTxGas: uint,
  baseGas: uint,
  gasPrice: uint,
  gasToken: orZero,
  refundReceiver: orZero,
  nonce: z.union([z.int().min(0), z.string().regex(/^\d{1,78}$/)]).transform(BigInt),
  safeTxHash: z.string().transform((raw) => parseFixedHex("A Safe transaction hash", raw, 32)),
  submissionDate: z.string().nullish(),
  isExecuted: z.boolean().nullish(),
  confirmations: z
    .array(z.looseObject({ owner: address, signature: bytes.nullish() }))
    .max(1_000)
    .nullish(),
});
const pageSchema = z.looseObject({ count: z.int().min(0), results: z.array(transactionSchema).max(1_000) });

/**
 * Lists the transactions of a Safe that are not executed, by nonce. The hash of each is computed here, and each
 * confirmation is checked: see `checkConfirmations`.
 *
 * @throws SafeServiceContradictedError if the service gives a transaction another hash than it has
 * @throws SafeServiceUnreachableError, SafeServiceError, RpcUnavailableError
 */
export async function listQueuedSafeTransactions(
  client: ChainClient,
  service: SafeService,
  account: SafeAccount,
): Promise<readonly QueuedSafeTransaction[]> {
  const found = new Map<Hex, QueuedSafeTransaction>();
  for (let offset = 0; ; offset += transactionsPerPage) {
    const query = `?executed=false&nonce__gte=${account.nonce}&ordering=nonce&limit=${transactionsPerPage}&offset=${offset}`;
    const path = `/v2/safes/${getAddress(account.safe)}/multisig-transactions/${query}`;
    const { count, results } = parseAnswer(service, path, pageSchema, await service.request({ method: "GET", path }));
    if (count > mostTransactions)
      throw new SafeServiceContradictedError(service.host, `It lists ${count} transactions of one Safe that wait.`);
    for (const wire of results) {
      const transaction = await checkTransaction(client, service, account, wire);
      // The service may be behind the chain.
      if (transaction.safeTx.nonce >= account.nonce) found.set(transaction.safeTxHash, transaction);
    }
    if (offset + transactionsPerPage >= count || results.length === 0) break;
  }
  return [...found.values()].toSorted((one, other) => compare(one.safeTx.nonce, other.safeTx.nonce));
}

function compare(one: bigint, other: bigint): number {
  return one < other ? -1 : Number(one > other);
}

/**
 * Reads one transaction of the Safe. Undefined if the service does not have it.
 *
 * @throws what listQueuedSafeTransactions throws
 */
export async function getQueuedSafeTransaction(
  client: ChainClient,
  service: SafeService,
  { account, safeTxHash }: { readonly account: SafeAccount; readonly safeTxHash: Hex },
): Promise<QueuedSafeTransaction | undefined> {
  const path = `/v2/multisig-transactions/${safeTxHash}/`;
  const answer = await service.request({ method: "GET", path }).catch((error: unknown) => {
    if (error instanceof SafeServiceError && error.answer.status === 404) return undefined;
    throw error;
  });
  if (answer === undefined) return undefined;
  const transaction = await checkTransaction(
    client,
    service,
    account,
    parseAnswer(service, path, transactionSchema, answer),
  );
  if (transaction.safeTxHash === safeTxHash) return transaction;
  throw new SafeServiceContradictedError(service.host, `Asked for ${safeTxHash}, it answers another transaction.`, {
    safeTxHash,
    answered: transaction.safeTxHash,
  });
}

export interface ProposeSafeTransactionParameters {
  readonly account: SafeAccount;
  readonly safeTx: SafeTx;
  /** Of an owner, or of a delegate that the service knows. Only an owner's counts as a confirmation. */
  readonly signature: SafeSignature;
  /** Tells the owners where it comes from. */
  readonly origin?: string | undefined;
}

/**
 * Posts a transaction to the service, and reads it back. If the service has it already, only the signature is added.
 *
 * @throws SafeServiceContradictedError if the service then shows another transaction, or none
 * @throws SafeServiceUnreachableError, SafeServiceError, RpcUnavailableError
 */
export async function proposeSafeTransaction(
  client: ChainClient,
  service: SafeService,
  { account, safeTx, signature, origin }: ProposeSafeTransactionParameters,
): Promise<QueuedSafeTransaction> {
  const safe = getAddress(account.safe);
  const safeTxHash = hashSafeTx(safeTx, account);
  const path = `/v2/safes/${safe}/multisig-transactions/`;
  await service.request({
    method: "POST",
    path,
    json: {
      to: getAddress(safeTx.to),
      value: String(safeTx.value),
      data: safeTx.data,
      operation: safeTx.operation,
      safeTxGas: String(safeTx.safeTxGas),
      baseGas: String(safeTx.baseGas),
      gasPrice: String(safeTx.gasPrice),
      gasToken: getAddress(safeTx.gasToken),
      refundReceiver: getAddress(safeTx.refundReceiver),
      nonce: String(safeTx.nonce),
      contractTransactionHash: safeTxHash,
      sender: getAddress(signature.signer),
      signature: encodeSafeSignatures([signature]),
      ...(origin !== undefined && { origin }),
    },
  });
  return requireKept(client, service, { account, safeTxHash, signature });
}

/**
 * Posts an owner's signature to the service, and reads the transaction back.
 *
 * @throws what proposeSafeTransaction throws
 */
export async function confirmSafeTransaction(
  client: ChainClient,
  service: SafeService,
  kept: { readonly account: SafeAccount; readonly safeTxHash: Hex; readonly signature: SafeSignature },
): Promise<QueuedSafeTransaction> {
  const path = `/v1/multisig-transactions/${kept.safeTxHash}/confirmations/`;
  await service.request({ method: "POST", path, json: { signature: encodeSafeSignatures([kept.signature]) } });
  return requireKept(client, service, kept);
}

async function requireKept(
  client: ChainClient,
  service: SafeService,
  { account, safeTxHash, signature }: Parameters<typeof confirmSafeTransaction>[2],
): Promise<QueuedSafeTransaction> {
  const kept = await getQueuedSafeTransaction(client, service, { account, safeTxHash });
  const isOwner = account.owners.some((owner) => isAddressEqual(owner, signature.signer));
  const isSigned = kept?.confirmations.some(({ signer }) => isAddressEqual(signer, signature.signer)) ?? false;
  if (kept !== undefined && (isSigned || !isOwner)) return kept;
  const what = kept === undefined ? "does not have it" : `does not have the confirmation of ${signature.signer}`;
  throw new SafeServiceContradictedError(service.host, `It accepted transaction ${safeTxHash}, and then ${what}.`, {
    safeTxHash,
  });
}

async function checkTransaction(
  client: ChainClient,
  { host }: SafeService,
  account: SafeAccount,
  wire: z.output<typeof transactionSchema>,
): Promise<QueuedSafeTransaction> {
  const { safe, to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, nonce } = wire;
  const safeTx = { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, nonce };
  const safeTxHash = hashSafeTx(safeTx, account);
  if (!isAddressEqual(safe, account.safe) || safeTxHash !== wire.safeTxHash) {
    const problem = `It gives a transaction with nonce ${nonce} the hash ${wire.safeTxHash}, but its fields have ${safeTxHash}.`;
    throw new SafeServiceContradictedError(host, problem, { stated: wire.safeTxHash, safeTxHash });
  }
  const stated = (wire.confirmations ?? []).flatMap(({ owner, signature }) =>
    signature === undefined || signature === null ? [] : [{ owner, signature }],
  );
  const { submissionDate } = wire;
  const submittedAt =
    submissionDate === undefined || submissionDate === null ? undefined : cleanText(submissionDate, 40);
  return { safeTx, safeTxHash, submittedAt, ...(await checkConfirmations(client, account, { safeTx, stated })) };
}

function parseAnswer<Schema extends z.ZodType>(
  { host }: SafeService,
  path: string,
  schema: Schema,
  answer: unknown,
): z.output<Schema> {
  try {
    const { data, error } = schema.safeParse(answer);
    if (error === undefined) return data;
  } catch (error) {
    if (!isDstackError(error)) throw error; // a transform parses hex
  }
  const words = "HTTP 200, JSON in another form than this API's";
  throw new SafeServiceError({ host, method: "GET", path, status: 200, words });
}
