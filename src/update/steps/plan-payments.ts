import { caveatOf, requireNoKeyEpochs } from "../../core/generation.ts";
import { parseDeviceId } from "../../core/ids.ts";
import type { PriceEstimate } from "../../core/price.ts";
import { SignerRequiredError, WrongChainError } from "../../errors/index.ts";
import { findPayment } from "../journal-state.ts";
import type { AllowlistSnapshot, RegistrationRequired } from "../ports.ts";
import { type UpdateRun, type UpdateTarget, withStep } from "../run.ts";
import { requireExpectedDevice } from "../trust.ts";
import { recordDiscarded, recordMined, type UpdatePayment } from "./pay.ts";

type App = Pick<UpdatePayment, "update" | "chainId" | "appId">;

export interface PaymentPlan {
  /** Absent if the device may boot already. It is sent first: once its hash is allowed, a CVM must be able to boot. */
  readonly addDevice: UpdatePayment | undefined;
  readonly addComposeHash: UpdatePayment;
  /** A transaction of this plan cannot be in an earlier block, unless it is on record. */
  readonly head: bigint;
}

/**
 * Decides what must be sent. Checks every known obstacle before the first wei is spent.
 *
 * @throws UnexpectedDeviceError, WrongChainError, KeyEpochsError, NoContractError, SignerRequiredError, NotOwnerError,
 * ContractOwnerError, InsufficientFundsError, RpcUnavailableError
 */
export function planPayments(
  run: UpdateRun,
  target: UpdateTarget,
  answer: RegistrationRequired,
  update: string,
): Promise<PaymentPlan> {
  return withStep(
    run,
    "readChain",
    async () => {
      const chainId = await requireChain(run, target, answer);
      const kms = run.request.kms ?? target.kmsContractAddress;
      const allowlist = await run.chain.readAllowlist({ ...answer, appId: target.appId, kms });
      requireNoKeyEpochs(allowlist.contracts, run.request.acceptKeyEpochs === true);
      const app = { chainId, appId: target.appId, update };
      const plan = planFor(allowlist, app, answer);
      if (plan.addDevice !== undefined) requireExpectedDevice(run, parseDeviceId(plan.addDevice.value));
      if (plan.addDevice === undefined) await catchUpWithDevice(run, app, answer);
      return { chainId, allowlist, plan, price: await requirePayable(run, plan, allowlist) };
    },
    ({ chainId, allowlist: { contracts, ...allowlist }, plan, price }) => ({
      ...allowlist,
      chainId,
      caveat: caveatOf(contracts),
      planned: paymentsOf(plan).map(({ step }) => step),
      price,
      newDevice: plan.addDevice && answer.deviceId,
    }),
  ).then(({ plan }) => plan);
}

async function requireChain({ chain }: UpdateRun, target: UpdateTarget, answer: RegistrationRequired): Promise<number> {
  const actual = await chain.readChainId();
  const expected = answer.chainId ?? target.chainId ?? actual;
  if (expected !== actual) throw new WrongChainError(expected, actual);
  return actual;
}

function planFor(allowlist: AllowlistSnapshot, app: App, { composeHash, deviceId }: RegistrationRequired): PaymentPlan {
  const addDevice = deviceId && ({ ...app, step: "addDevice", value: deviceId } as const);
  return {
    addDevice: allowlist.deviceAllowed ? undefined : addDevice,
    // Sent even if the hash is allowed already, because the cloud verifies a transaction as well as the state.
    addComposeHash: { ...app, step: "addComposeHash", value: composeHash },
    head: allowlist.blockNumber,
  };
}

/** Records the receipt of an addDevice that was mined after an earlier run had crashed. */
async function catchUpWithDevice(run: UpdateRun, app: App, { deviceId }: RegistrationRequired): Promise<void> {
  if (deviceId === undefined) return;
  const payment: UpdatePayment = { ...app, step: "addDevice", value: deviceId };
  const { status, transactionHash } = findPayment(run.journal.state, payment) ?? {};
  if (transactionHash === undefined || status === "mined") return;
  const receipt = await run.chain.readReceipt(payment, transactionHash);
  if (receipt?.succeeded) await recordMined(run, payment, receipt);
}

/** Checks signer and balance for unsigned payments only, and returns their price. A transaction on record needs neither. */
async function requirePayable(
  run: UpdateRun,
  plan: PaymentPlan,
  allowlist: AllowlistSnapshot,
): Promise<PriceEstimate | undefined> {
  const unsigned: UpdatePayment[] = [];
  for (const payment of paymentsOf(plan)) {
    const isAllowed = payment.step === "addComposeHash" && allowlist.composeHashAllowed;
    if (!(await isOnRecord(run, payment, isAllowed, allowlist.blockNumber))) unsigned.push(payment);
  }
  if (unsigned.length === 0) return undefined;
  if (run.chain.signer === undefined) throw new SignerRequiredError(unsigned.map(({ step }) => step));
  return run.chain.requireAffordable(unsigned);
}

function paymentsOf({ addDevice, addComposeHash }: PaymentPlan): readonly UpdatePayment[] {
  return addDevice === undefined ? [addComposeHash] : [addDevice, addComposeHash];
}

/**
 * Whether a recorded transaction counts for the payment. It does not count if the owner has reverted its effect: the
 * transaction was mined before the block in which the value is not allowed, so it cannot have its effect again.
 */
async function isOnRecord(
  run: UpdateRun,
  payment: UpdatePayment,
  isAllowed: boolean,
  readAt: bigint,
): Promise<boolean> {
  const record = findPayment(run.journal.state, payment);
  if (record?.transactionHash === undefined || isAllowed) return record !== undefined;
  const receipt = await run.chain.readReceipt(payment, record.transactionHash);
  // Not mined, mined after that block, or without effect: `pay` decides what to do.
  if (!receipt?.succeeded || receipt.blockNumber > readAt) return true;
  await recordDiscarded(run, payment, "undone");
  return false;
}
