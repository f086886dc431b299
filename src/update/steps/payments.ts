import { caveatOf, requireNoKeyEpochs } from "../../core/generation.ts";
import type { PriceEstimate } from "../../core/price.ts";
import { SignerRequiredError, WrongChainError } from "../../errors/index.ts";
import type { AllowlistSnapshot, Payment, PaymentIntent, PaymentPort, RegistrationRequired } from "../ports.ts";
import { type UpdateRun, type UpdateTarget, withStep } from "../run.ts";
import { requireExpectedDevice } from "../trust.ts";
import type { RequestedDocument } from "./document.ts";

/**
 * Decides what must be sent, in this order. A hash that the app allows already needs no transaction. Checks every known
 * obstacle before the first wei is spent.
 *
 * @throws UnexpectedDeviceError, WrongChainError, KeyEpochsError, NoContractError, SignerRequiredError, NotOwnerError,
 * ContractOwnerError, InsufficientFundsError, RpcUnavailableError
 */
export function planPayments(
  run: UpdateRun,
  target: UpdateTarget,
  answer: RegistrationRequired,
  payments: PaymentPort,
): Promise<readonly PaymentIntent[]> {
  return readPlanned(run, target, answer, {
    // A recorded transaction that allowed the hash is the better proof, and its end belongs to this update.
    choose: async (all) => {
      const isRecorded = await Promise.all(all.map((payment) => payments.isRecorded(payment)));
      return all.filter(({ absentAt }, index) => absentAt !== undefined || isRecorded[index] === true);
    },
    readPrice: (planned) => requirePayable(run, payments, planned),
  });
}

/**
 * Decides what the owners of a prepared update must sign, in this order. A hash that the app allows already needs no
 * transaction.
 *
 * @throws UnexpectedDeviceError, WrongChainError, KeyEpochsError, NoContractError, RpcUnavailableError
 */
export function planSignatures(
  run: UpdateRun,
  target: UpdateTarget,
  wanted: Pick<RegistrationRequired, "composeHash" | "deviceId" | "chainId">,
): Promise<readonly PaymentIntent[]> {
  return readPlanned(run, target, wanted, {
    choose: async (all) => all.filter(({ absentAt }) => absentAt !== undefined),
    readPrice: async () => undefined,
  });
}

/**
 * Refuses an update that the signer cannot pay for, before the cloud keeps it. Whether the device must be allowed too is
 * known only from the cloud's answer.
 *
 * @throws WrongChainError, SignerRequiredError, NotOwnerError, ContractOwnerError, RpcUnavailableError
 */
export async function requirePayer(
  run: UpdateRun,
  target: UpdateTarget,
  { composeHash }: Pick<RequestedDocument, "composeHash">,
): Promise<void> {
  const { chain, request } = run;
  const { appId, chainId, key } = target;
  if (chainId === undefined) return;
  await requireChain(run, target, { chainId });
  // The cloud may ask for the other hash that the caller accepts.
  const hashes = [composeHash, ...(request.acceptHashMismatch === undefined ? [] : [request.acceptHashMismatch])];
  for (const value of hashes) {
    const allowlist = await chain.readAllowlist({ appId, composeHash: value, deviceId: undefined });
    if (allowlist.composeHashAllowed || allowlist.owner === chain.signer) return;
    using payments = chain.openPayments({ appId, key, composeHash: value });
    const absentAt = allowlist.blockNumber;
    if (await payments.isRecorded({ chainId, appId, step: "addComposeHash", value, absentAt })) return;
  }
  if (chain.signer === undefined) throw new SignerRequiredError(["addComposeHash"]);
  await chain.estimatePrice([{ chainId, appId, step: "addComposeHash", value: composeHash }], chain.signer);
}

interface PlannedBy {
  readonly choose: (payments: readonly PaymentIntent[]) => Promise<readonly PaymentIntent[]>;
  readonly readPrice: (planned: readonly PaymentIntent[]) => Promise<PriceEstimate | undefined>;
}

async function readPlanned(
  run: UpdateRun,
  target: UpdateTarget,
  wanted: Pick<RegistrationRequired, "composeHash" | "deviceId" | "chainId">,
  { choose, readPrice }: PlannedBy,
): Promise<readonly PaymentIntent[]> {
  const { planned } = await withStep(
    run,
    "readChain",
    async () => {
      const chainId = await requireChain(run, target, wanted);
      const { appId } = target;
      const { composeHash, deviceId } = wanted;
      const kms = run.request.kms ?? target.kmsContractAddress;
      const allowlist = await run.chain.readAllowlist({ composeHash, deviceId, appId, kms });
      requireNoKeyEpochs(allowlist.contracts, run.request.acceptKeyEpochs === true);
      const planned = await choose(planFor(allowlist, { chainId, appId }, wanted));
      const newDevice = planned.some(({ step }) => step === "addDevice") ? deviceId : undefined;
      if (newDevice !== undefined) requireExpectedDevice(run, newDevice);
      return { chainId, allowlist, planned, newDevice, price: await readPrice(planned) };
    },
    ({ chainId, allowlist: { contracts, ...allowlist }, planned, newDevice, price }) => ({
      ...allowlist,
      ...{ chainId, newDevice, price },
      caveat: caveatOf(contracts),
      planned: planned.map(({ step }) => step),
    }),
  );
  return planned;
}

async function requireChain(
  { chain }: UpdateRun,
  target: UpdateTarget,
  answer: Pick<RegistrationRequired, "chainId">,
): Promise<number> {
  const actual = await chain.readChainId();
  const expected = answer.chainId ?? target.chainId ?? actual;
  if (expected !== actual) throw new WrongChainError(expected, actual);
  return actual;
}

function planFor(
  { blockNumber, deviceAllowed, composeHashAllowed }: AllowlistSnapshot,
  app: Pick<PaymentIntent, "chainId" | "appId">,
  { composeHash, deviceId }: Pick<RegistrationRequired, "composeHash" | "deviceId">,
): readonly PaymentIntent[] {
  const absentAt = composeHashAllowed ? undefined : blockNumber;
  const addComposeHash = { ...app, step: "addComposeHash", value: composeHash, absentAt } as const;
  if (deviceAllowed || deviceId === undefined) return [addComposeHash];
  // The device first: once its hash is allowed, a CVM must be able to boot.
  return [{ ...app, step: "addDevice", value: deviceId, absentAt: blockNumber }, addComposeHash];
}

/** Checks signer and balance for unsigned payments only, and returns their price. A transaction on record needs neither. */
async function requirePayable(
  run: UpdateRun,
  payments: PaymentPort,
  planned: readonly PaymentIntent[],
): Promise<PriceEstimate | undefined> {
  const unsigned: PaymentIntent[] = [];
  for (const payment of planned) if (!(await payments.isRecorded(payment))) unsigned.push(payment);
  if (unsigned.length === 0) return undefined;
  if (run.chain.signer === undefined) throw new SignerRequiredError(unsigned.map(({ step }) => step));
  return payments.requireAffordable(unsigned);
}

/**
 * Makes sure that for each payment one transaction is mined and proven. Recorded transactions are sent again and waited
 * for. A new one is signed only if none is on record, or if the recorded one can no longer be mined.
 *
 * @throws TransactionRevertedError, ReceiptTimeoutError, ReceiptMismatchError, NonceTakenError, InsufficientFundsError,
 * TransactionUnderpricedError, UnsignedRecordError, RpcUnavailableError, LedgerError
 */
export function pay(
  run: UpdateRun,
  payments: PaymentPort,
  planned: readonly PaymentIntent[],
): Promise<readonly Payment[]> {
  return withStep(
    run,
    "pay",
    () => payments.pay(planned),
    (paid) => ({ payments: paid }),
  );
}

/**
 * Waits until the payments are as final as the caller asked for. Returns them as they are then.
 *
 * @param recorded the payments of an earlier run, if this one did not call `pay`
 * @throws FinalityTimeoutError, and what `pay` throws
 */
export async function awaitFinality(
  run: UpdateRun,
  payments: PaymentPort,
  recorded?: readonly PaymentIntent[],
): Promise<readonly Payment[]> {
  const final = await withStep(
    run,
    "awaitFinality",
    () => payments.finish(recorded),
    ({ until }) => ({ until }),
  );
  return final.payments;
}
