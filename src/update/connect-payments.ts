import { parseAccount } from "viem/accounts";
import { type ChainClient, requireChain } from "../chain/client.ts";
import { defaultFinality, type FinalityTag, readChainIdentity } from "../chain/transactions/chain-identity.ts";
import { type Mined, waitForFinality } from "../chain/transactions/finality.ts";
import { followTransaction } from "../chain/transactions/follow.ts";
import type { Ended } from "../chain/transactions/follow-context.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { type LedgerTransaction, lowerCase, type TransactionAttempt } from "../chain/transactions/ledger-records.ts";
import { readOutcome } from "../chain/transactions/outcome.ts";
import { type PricedTransaction, requireFunds } from "../chain/transactions/price.ts";
import { proofOf, readReceipt } from "../chain/transactions/receipt.ts";
import { cancelTransaction } from "../chain/transactions/replace.ts";
import { openSender, type Sender } from "../chain/transactions/sender.ts";
import type { SenderParameters, SentTransaction } from "../chain/transactions/sender-parameters.ts";
import type { TransactionIntent } from "../chain/transactions/simulate.ts";
import { readGas, simulateCall } from "../chain/transactions/simulate.ts";
import { type Hex, parseComposeHash, parseDeviceId } from "../core/ids.ts";
import { gasCeilingOf } from "../core/order-calls.ts";
import {
  abiOf,
  addComposeHashCall,
  addDeviceCall,
  isSameCall,
  type OwnerCall,
  proveCalls,
} from "../core/owner-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import { SignerRequiredError, UnsignedRecordError } from "../errors/index.ts";
import type { FinalPayments, PaidUpdate, Payment, PaymentIntent, PaymentPort } from "./ports.ts";

export interface PaymentParameters extends SenderParameters {
  readonly ledger: Ledger;
}

/** Connects the payments of one update to the ledger and the chain. */
export function connectPayments(client: ChainClient, parameters: PaymentParameters, update: PaidUpdate): PaymentPort {
  return new LedgerPayments(client, parameters, update);
}

/** A payment with the transaction that makes it. */
interface Paid extends Ended {
  readonly payment: PaymentIntent;
  /** Whether another run had recorded it. */
  readonly isFromRecord: boolean;
}

interface Plan {
  readonly intent: TransactionIntent;
  readonly priced: PricedTransaction;
}

class LedgerPayments implements PaymentPort {
  readonly #client: ChainClient;
  readonly #parameters: PaymentParameters;
  readonly #update: PaidUpdate;
  readonly #signer: Hex | undefined;
  /** By signer. Mostly one; an earlier run may have had another key. */
  readonly #senders = new Map<Hex, Sender>();
  readonly #plans = new Map<PaymentIntent, Plan>();
  #paid: readonly Paid[] = [];

  constructor(client: ChainClient, parameters: PaymentParameters, update: PaidUpdate) {
    const { account } = parameters;
    this.#client = client;
    this.#parameters = parameters;
    this.#update = update;
    this.#signer = account && lowerCase(parseAccount(account).address);
  }

  async isRecorded(payment: PaymentIntent): Promise<boolean> {
    const found = await this.#find(payment);
    if (found?.state !== "open") return found !== undefined;
    const { context } = await this.#senderOf(found.from, payment);
    await readOutcome(context, found, { isDue: true });
    return (await this.#find(payment)) !== undefined;
  }

  async requireAffordable(payments: readonly PaymentIntent[]): Promise<PriceEstimate> {
    const address = this.#requireSigner(payments);
    const plans = await Promise.all(payments.map((payment) => this.#plan(payment)));
    const { maxFeePerGas, maxPriorityFeePerGas } = this.#parameters;
    const transactions = plans.map(({ priced }) => priced);
    return requireFunds(this.#client, { address, transactions, maxFeePerGas, maxPriorityFeePerGas });
  }

  async pay(payments: readonly PaymentIntent[]): Promise<readonly Payment[]> {
    const recorded = await Promise.all(payments.map((payment) => this.#find(payment)));
    for (const [index, payment] of payments.entries())
      await this.#senderOf(recorded[index]?.from ?? this.#requireSigner([payment]), payment);
    if (payments.length === 0) await this.#openEarlier();
    await this.#abandon(recorded);
    const senders = [...this.#senders.values()];
    const isLeft = (sender: Sender) => sender.readRecorded().own.some(({ state }) => state === "open");
    if (recorded.some((one) => one?.state !== "mined") || senders.some(isLeft))
      for (const sender of senders) await sender.resume();
    const lacking: PaymentIntent[] = [];
    for (const payment of payments) {
      const found = await this.#find(payment);
      // Another process has it under way.
      if (found?.state === "open") await followTransaction((await this.#senderOf(found.from, payment)).context, found);
      if ((await this.#find(payment)) === undefined) lacking.push(payment);
    }
    const [first] = lacking;
    if (first !== undefined) {
      const sender = await this.#senderOf(this.#requireSigner(lacking), first);
      const plans = await Promise.all(lacking.map((payment) => this.#plan(payment)));
      await sender.send(plans.map(({ intent }) => intent));
    }
    this.#paid = await this.#takeUp([...this.#madeBefore(payments), ...payments]);
    return this.#settle("latest");
  }

  lookAgain(): Promise<readonly Payment[]> {
    this.#paid = this.#paid.map((paid) => ({ ...paid, receipt: undefined }));
    return this.#settle("latest");
  }

  async finish(recorded: readonly PaymentIntent[] = []): Promise<FinalPayments> {
    if (this.#paid.length === 0) this.#paid = await this.#takeUp(recorded);
    const [paid] = this.#paid;
    const identity = paid && (await readChainIdentity(this.#client, paid.transaction.chainId));
    const { until = identity === undefined ? "latest" : defaultFinality(identity) } = this.#parameters;
    const payments = await this.#settle(until);
    for (const sender of this.#senders.values()) sender.complete();
    return { until, payments };
  }

  [Symbol.dispose](): void {
    for (const sender of this.#senders.values()) sender.close();
  }

  /** The newest transaction with the call that counts: it is open, or mined and not undone since. */
  async #find(payment: PaymentIntent): Promise<LedgerTransaction | undefined> {
    const { chain } = await readChainIdentity(this.#client, payment.chainId);
    const calls = [callOf(payment)];
    const found = this.#parameters.ledger.transactions({ chain, calls, states: ["open", "mined"] }).at(-1);
    const hash = found?.state === "mined" ? found.proof?.transactionHash : undefined;
    if (hash === undefined || payment.absentAt === undefined) return found;
    // Without a receipt, a reorganisation may have removed it. It is then sent again.
    const receipt = await readReceipt(this.#client, hash);
    return receipt !== undefined && receipt.blockNumber <= payment.absentAt ? undefined : found;
  }

  async #senderOf(from: Hex, { chainId }: Pick<PaymentIntent, "chainId">): Promise<Sender> {
    const known = this.#senders.get(from);
    if (known !== undefined) return known;
    const { key, appId, composeHash } = this.#update;
    const isOurs = from === this.#signer;
    // Signed bytes need no key. A node is not asked to sign for another account.
    const account = isOurs ? this.#parameters.account : from;
    const confirmUnsigned = isOurs ? requireCallOf(this.#update) : undefined;
    const sender = await openSender(
      this.#client,
      { ...this.#parameters, account, chainId, confirmUnsigned },
      {
        purpose: { kind: "update", cvm: key },
        // Not the device: whether it must be allowed can change between two runs of the same update.
        calls: [addComposeHashCall({ appId, composeHash })],
        title: "addComposeHash",
      },
    );
    this.#senders.set(from, sender);
    return sender;
  }

  #requireSigner(payments: readonly PaymentIntent[]): Hex {
    if (this.#signer === undefined) throw new SignerRequiredError(payments.map(({ step }) => step));
    return this.#signer;
  }

  async #plan(payment: PaymentIntent): Promise<Plan> {
    const known = this.#plans.get(payment);
    const plan = known ?? (await planPayment(this.#client, this.#requireSigner([payment]), payment));
    this.#plans.set(payment, plan);
    return plan;
  }

  /** Uses the nonce of the transaction that the caller gave up, if it still waits. What is mined first counts. */
  async #abandon(recorded: readonly (LedgerTransaction | undefined)[]): Promise<void> {
    const { ledger, account, maxFeePerGas, maxPriorityFeePerGas } = this.#parameters;
    const { abandon } = this.#update;
    const isNamed = ({ transactionHash }: TransactionAttempt) => transactionHash === abandon;
    const open = recorded.find((one) => one?.state === "open" && one.attempts.some(isNamed));
    if (abandon === undefined || open === undefined) return;
    const { chainId, from, nonce } = open;
    const { context } = await this.#senderOf(from, open);
    const outcome = await readOutcome(context, open, { isDue: true });
    const fees = { maxFeePerGas, maxPriorityFeePerGas };
    if (outcome === undefined) await cancelTransaction(this.#client, { ledger, account, chainId, nonce, ...fees });
  }

  /** An earlier run of this update may have paid for the device alone, and then ended. */
  async #openEarlier(): Promise<void> {
    const { key, appId, composeHash } = this.#update;
    const wanted = addComposeHashCall({ appId, composeHash });
    for (const batch of this.#parameters.ledger.batches({ isOpen: true })) {
      const { purpose, signer, calls } = batch;
      const isOurs = purpose.kind === "update" && purpose.cvm === key && signer === this.#signer;
      if (isOurs && calls.every((call) => isSameCall(call, wanted))) await this.#senderOf(signer, batch);
    }
  }

  /** What an earlier run of this update paid for, besides the given payments: the device. */
  #madeBefore(payments: readonly PaymentIntent[]): readonly PaymentIntent[] {
    const { ledger } = this.#parameters;
    const { appId } = this.#update;
    const made: PaymentIntent[] = [];
    for (const { key } of this.#senders.values()) {
      const batch = ledger.findBatch(key);
      if (batch === undefined) continue;
      const { id, chainId } = batch;
      for (const call of ledger.transactions({ batch: id, states: ["mined"] }).flatMap(({ calls }) => calls)) {
        const isMeant = payments.some((payment) => isSameCall(callOf(payment), call));
        if (isMeant || call.functionName !== "addDevice") continue;
        made.push({ chainId, appId, step: "addDevice", value: parseDeviceId(`${call.args[0]}`) });
      }
    }
    return made;
  }

  async #takeUp(payments: readonly PaymentIntent[]): Promise<readonly Paid[]> {
    const seen = [...this.#senders.values()].flatMap(({ sent }) => sent).filter(({ receipt }) => receipt !== undefined);
    const taken = payments.map(async (payment): Promise<Paid[]> => {
      const carries = ({ transaction: { state, calls } }: SentTransaction) =>
        state === "mined" && calls.some((call) => isSameCall(call, callOf(payment)));
      const fresh = seen.findLast(carries);
      if (fresh !== undefined) return [{ ...fresh, payment }];
      const transaction = await this.#find(payment);
      return transaction === undefined ? [] : [{ payment, transaction, receipt: undefined, isFromRecord: true }];
    });
    return (await Promise.all(taken)).flat();
  }

  /** Waits until the payments are at a stage. Proves them again, because a reorganisation may have moved them. */
  async #settle(until: FinalityTag): Promise<readonly Payment[]> {
    const settled: (Paid & Mined)[] = [];
    for (const { transaction } of this.#paid) await this.#senderOf(transaction.from, transaction);
    for (const [from, { context }] of this.#senders) {
      const ofSigner = this.#paid.filter(({ transaction }) => transaction.from === from);
      const mined = await waitForFinality(context, ofSigner, { ...this.#parameters, until });
      for (const [index, one] of mined.entries()) {
        const paid = ofSigner[index];
        proveCalls(one.receipt, one.transaction.calls);
        if (paid !== undefined) settled.push({ ...paid, ...one });
      }
    }
    this.#paid = settled;
    return settled.map(({ payment: { step, value }, receipt, isFromRecord }) => ({
      ...{ step, value, isFromRecord },
      ...proofOf(receipt),
    }));
  }
}

/** Simulates the call of a payment. @throws NotOwnerError, ContractOwnerError, ContractRevertedError */
export async function planPayment(client: ChainClient, from: Hex, payment: PaymentIntent): Promise<Plan> {
  const call = callOf(payment);
  const { to, data, functionName } = call;
  const simulated = { from, to, data, functionName, abi: abiOf(call) };
  await requireChain(client, payment.chainId);
  await simulateCall(client, simulated);
  const gasCeiling = gasCeilingOf(call);
  const { gas, gasLimit } = await readGas(client, { ...simulated, ceiling: gasCeiling });
  const intent = { to, data, functionName, gas: gasLimit, calls: [call] };
  return { intent, priced: { to, data, gas, gasLimit, gasCeiling } };
}

/** The call that makes a payment. */
export function callOf({ appId, step, value }: Pick<PaymentIntent, "appId" | "step" | "value">): OwnerCall {
  return step === "addDevice"
    ? addDeviceCall({ appId, deviceId: parseDeviceId(value) })
    : addComposeHashCall({ appId, composeHash: parseComposeHash(value) });
}

/** A record without signed bytes is the very call that this update asks for, or it is not believed. */
function requireCallOf({ appId, composeHash }: PaidUpdate) {
  return (transaction: LedgerTransaction): void => {
    const isOwn = ({ to, functionName, args: [value] }: OwnerCall) =>
      to === appId && (functionName === "addDevice" || (functionName === "addComposeHash" && value === composeHash));
    if (transaction.calls.length > 0 && transaction.calls.every(isOwn)) return;
    throw new UnsignedRecordError({ ...transaction, isKeyHere: false });
  };
}
