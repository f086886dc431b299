import { type Account, type Address, encodeFunctionData, formatTransactionReceipt } from "viem";
import { parseAccount } from "viem/accounts";
import { getBlockNumber, getTransactionCount } from "viem/actions";
import { addComposeHash } from "../chain/add-compose-hash.ts";
import { addDevice } from "../chain/add-device.ts";
import { type ChainClient, requireChain } from "../chain/client.ts";
import { findKmsGeneration, readAllowlist } from "../chain/read-app.ts";
import { readKmsPublicKey } from "../chain/read-kms.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { sendPreparedTransaction, type WriteParameters } from "../chain/transactions/broadcast.ts";
import { findTransaction } from "../chain/transactions/find.ts";
import { type PreparedTransaction, readNextNonce } from "../chain/transactions/prepare.ts";
import { costOf, estimatePrice, type PricedTransaction, requireFunds } from "../chain/transactions/price.ts";
import { readGas, simulateCall } from "../chain/transactions/simulate.ts";
import { requireEvent } from "../core/events.ts";
import type { JudgedContract } from "../core/generation.ts";
import { type Hex, parseComposeHash, parseDeviceId, parseFixedHex, type TransactionHash } from "../core/ids.ts";
import { gasCeilingOf } from "../core/order-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import { SignerRequiredError, UnsignedRecordError } from "../errors/index.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import type { PaymentIntent } from "./journal-state.ts";
import type { ChainPort, MinedReceipt, SignedTransaction } from "./ports.ts";

/** Connects the update's chain port to a viem client. */
export function connectChain(client: ChainClient, account: Account | Address | undefined = client.account): ChainPort {
  const isKeyHere = account !== undefined && parseAccount(account).type === "local";
  const signer = account === undefined ? undefined : addressOf(parseAccount(account));
  return {
    signer,
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
    estimatePrice: async (intents, from) =>
      estimatePrice(client, { transactions: await planPayments(client, from, intents) }),
    requireAffordable: (intents) => requireAffordable(client, signer, intents),
    async send(intent, { minimumNonce, beforeSend }) {
      if (signer === undefined) throw new SignerRequiredError([intent.step]);
      const next = await readNextNonce(client, { address: signer });
      return send(client, intent, {
        account,
        chainId: intent.chainId,
        nonce: Math.max(next, minimumNonce),
        beforeSend: (prepared) => beforeSend(toSigned(prepared)),
      });
    },
    async sendAgain({ step }, signed) {
      // Without signed bytes, the node or the wallet signs. It must sign with this signer's account only.
      const isOurs = signed.rawTransaction !== undefined || signed.from.toLowerCase() === signer;
      if (!isOurs) throw new SignerRequiredError([`${step} by ${signed.from}, as recorded`]);
      const prepared = { ...signed, functionName: step };
      // A record of a node or wallet is used only if it is exactly the call that this update would send now.
      const confirmUnsigned = () => {
        if (isKeyHere) throw new UnsignedRecordError({ ...prepared, isKeyHere });
      };
      return sendPreparedTransaction(client, prepared, { confirmUnsigned });
    },
    readReceipt: (intent, transactionHash) => readReceipt(client, intent, transactionHash),
    readNonce: (address) => readNonce(client, address, "latest"),
    readPendingNonce: (address) => readNonce(client, address, "pending"),
    findTransaction: (parameters) => findTransaction(client, parameters),
  };
}

async function judgeKms(client: ChainClient, kms: Hex): Promise<JudgedContract[]> {
  const generation = await findKmsGeneration(client, { address: kms });
  return generation === undefined ? [] : [{ role: "KMS", address: kms, generation }];
}

function send(
  client: ChainClient,
  { appId, step, value }: PaymentIntent,
  write: WriteParameters,
): Promise<TransactionHash> {
  return step === "addDevice"
    ? addDevice(client, { appId, deviceId: parseDeviceId(value), ...write })
    : addComposeHash(client, { appId, composeHash: parseComposeHash(value), ...write });
}

/**
 * Simulates all transactions as `send` would, without signing, and compares their maximum cost with the balance. The gas
 * is estimated once more before each is signed, so the price has the most that may be signed then.
 */
async function requireAffordable(
  client: ChainClient,
  signer: Hex | undefined,
  intents: readonly PaymentIntent[],
): Promise<PriceEstimate> {
  if (signer === undefined) throw new SignerRequiredError(intents.map(({ step }) => step));
  return requireFunds(client, { address: signer, transactions: await planPayments(client, signer, intents) });
}

function planPayments(client: ChainClient, from: Hex, intents: readonly PaymentIntent[]): Promise<PricedTransaction[]> {
  return Promise.all(intents.map((intent) => planPayment(client, from, intent)));
}

async function planPayment(
  client: ChainClient,
  from: Hex,
  { chainId, appId: to, step: functionName, value }: PaymentIntent,
): Promise<PricedTransaction> {
  await requireChain(client, chainId);
  const data = encodeFunctionData({ abi: dstackAppAbi, functionName, args: [value] });
  const call = { from, to, data, abi: dstackAppAbi, functionName };
  await simulateCall(client, call);
  const ceiling = gasCeilingOf(functionName);
  return { to, data, gasCeiling: ceiling, ...(await readGas(client, { ...call, ceiling })) };
}

async function readReceipt(
  client: ChainClient,
  { appId, step, value }: PaymentIntent,
  transactionHash: TransactionHash,
): Promise<MinedReceipt | undefined> {
  const [wire, head] = await withRpcErrors(client, "reading the receipt", () =>
    Promise.all([requestReceipt(client, transactionHash), getBlockNumber(client, { cacheTime: 0 })]),
  );
  // A pending block has receipts too, but no block number.
  if (wire === null || wire.blockNumber === null) return undefined;
  const receipt = formatTransactionReceipt(wire);
  const succeeded = receipt.status === "success";
  if (succeeded && step === "addDevice") {
    requireEvent(receipt, { emitter: appId, eventName: "DeviceAdded", value: parseDeviceId(value) });
  } else if (succeeded) {
    requireEvent(receipt, { emitter: appId, eventName: "ComposeHashAdded", value: parseComposeHash(value) });
  }
  return {
    transactionHash,
    succeeded,
    blockNumber: receipt.blockNumber,
    confirmations: head - receipt.blockNumber + 1n,
    gasUsed: receipt.gasUsed,
    costWei: costOf(receipt),
  };
}

async function requestReceipt(client: ChainClient, transactionHash: TransactionHash) {
  const wire = await client.request({ method: "eth_getTransactionReceipt", params: [transactionHash] });
  // Some proxies answer 200 with neither result nor error. This says nothing about the transaction.
  if (wire === undefined) throw new Error("The endpoint's answer contains no result.");
  return wire;
}

function readNonce(client: ChainClient, address: Hex, blockTag: "latest" | "pending"): Promise<number> {
  return withRpcErrors(client, "reading the nonce", () => getTransactionCount(client, { address, blockTag }));
}

function toSigned({ functionName: _, ...prepared }: PreparedTransaction): SignedTransaction {
  return { ...prepared, from: addressOf({ address: prepared.from }), to: addressOf({ address: prepared.to }) };
}

/** viem returns checksummed addresses in mixed case. The journal compares addresses as lower-case text. */
function addressOf({ address }: { readonly address: Address }): Hex {
  return parseFixedHex("An address", address, 20);
}
