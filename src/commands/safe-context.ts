import { resolve } from "node:path";
import { type Address, getAddress, type Hex, isAddressEqual } from "viem";
import type { OwnerCall } from "../core/owner-calls.ts";
import { type SafeTx, safeTxHashes } from "../core/safe.ts";
import { InvalidArgumentError, SafeNonceError } from "../errors/index.ts";
import { readSafe, type SafeAccount } from "../governance/safe-account.ts";
import { executionOfNonce, readSafeExecutions } from "../governance/safe-executions.ts";
import type { ProposedTransaction } from "../governance/safe-find.ts";
import { loadProposal, proposalExists, type SafeProposal } from "../governance/safe-proposal.ts";
import { listQueuedSafeTransactions, type QueuedSafeTransaction } from "../governance/safe-queue.ts";
import type { SafeService } from "../governance/safe-service.ts";
import { signerOfAccount, signerOfWallet, type TypedDataSigner } from "../governance/safe-sign.ts";
import type { Output } from "../output/output.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import { checkPlan, type PlanCheck } from "../plans/check-plan.ts";
import type { CommandHost } from "./host.ts";
import { type ConnectedPlan, connectPlan, overtakenPlan, type PlanCheckArguments } from "./plan.ts";
import { proposalFileOf, requireOwnerKind } from "./plan-progress.ts";
import type { TaskIo } from "./run.ts";
import { openService } from "./safe-service.ts";

/** Arguments of every task about the Safe transaction of a plan. */
export interface SafeArguments extends PlanCheckArguments {
  /** Files of the proposal, separated by commas. */
  readonly proposal?: string | undefined;
  /** Address of a Safe transaction service, or none. */
  readonly service?: string | undefined;
  /** Nonce of the Safe transaction. */
  readonly nonce?: string | undefined;
}

export interface SafeSigningArguments extends SafeArguments {
  readonly hardwareWallet?: boolean | undefined;
}

/** A plan whose owner is a Safe, with the Safe and what is known of its transaction. */
export interface ConnectedSafe extends ConnectedPlan {
  readonly calls: readonly OwnerCall[];
  readonly account: SafeAccount;
  readonly service: SafeService | undefined;
  /** What the service has; undefined without a service. */
  readonly queued: readonly QueuedSafeTransaction[] | undefined;
  /** The files that hold a proposal, with their paths. */
  readonly copies: readonly { readonly path: string; readonly proposal: SafeProposal }[];
  /** The file that a proposal is written to. */
  readonly proposalFile: string;
  readonly nonce: bigint | undefined;
}

/**
 * Loads the plan, and reads its Safe from the chain and the Safe's queue from the service.
 *
 * @param options.mayBeNew whether a named file of the proposal may be missing
 * @throws InvalidArgumentError if the plan's owner is not a Safe; InvalidProposalFileError, and what connectPlan,
 * readSafe and the service throw
 */
export async function connectSafe(
  io: TaskIo,
  args: SafeArguments,
  host: CommandHost,
  { mayBeNew = false }: { readonly mayBeNew?: boolean } = {},
): Promise<ConnectedSafe> {
  const nonce = parseNonce(args.nonce);
  const connected = await connectPlan(io, args, host);
  const { plan, chain } = connected;
  requireOwnerKind(plan, "safe", { file: args.file, network: chain.network });
  const account = await readSafe(chain.client, { safe: plan.owner.address, chainId: plan.chainId });
  const service = await openService(args, host);
  const named = (args.proposal ?? "").split(",").filter((path) => path.trim() !== "");
  const ownFile = proposalFileOf(args.file);
  const paths = (named.length > 0 ? named : [ownFile]).map((path) => resolve(path.trim()));
  const existing = await Promise.all(
    paths.map(async (path) => ((named.length > 0 && !mayBeNew) || (await proposalExists(path)) ? [path] : [])),
  );
  return {
    ...connected,
    ...{ account, service, nonce, calls: plan.changes.map(({ call }) => call) },
    queued: service && (await listQueuedSafeTransactions(chain.client, service, account)),
    copies: await Promise.all(existing.flat().map(async (path) => ({ path, proposal: await loadProposal(path) }))),
    proposalFile: paths[0] ?? resolve(ownFile),
  };
}

function parseNonce(raw: string | undefined): bigint | undefined {
  if (raw === undefined) return undefined;
  if (/^\d{1,15}$/.test(raw.trim())) return BigInt(raw.trim());
  throw new InvalidArgumentError(`--nonce must be a whole number, got "${raw.slice(0, 20)}".`, {
    nextStep: "Give the nonce of the Safe transaction, as the Safe app shows it.",
  });
}

/**
 * Checks the plan against chain and cloud. If it was executed already, returns by what, and what was undone since.
 *
 * @throws PlanOvertakenError, and what checkPlan throws
 */
export async function requireOpenPlan(
  { plan, chain, source }: ConnectedPlan,
  file: string,
): Promise<(Pick<PlanCheck, "undone"> & { readonly appliedBy: readonly Hex[] }) | undefined> {
  const { appliedBy, objections, undone } = await checkPlan(chain.client, { plan, ...source });
  if (appliedBy === undefined && objections.length > 0) throw overtakenPlan(plan, file, objections);
  return appliedBy && { appliedBy, undone };
}

/**
 * Returns if the Safe has not yet executed a transaction with this nonce.
 *
 * @throws SafeNonceError, which says what used the nonce
 */
export async function requireUnused(
  { chain, account, plan }: Pick<ConnectedSafe, "chain" | "account" | "plan">,
  { safeTx, safeTxHash }: Pick<ProposedTransaction, "safeTx" | "safeTxHash">,
): Promise<void> {
  const { safe, nonce: next } = account;
  if (safeTx.nonce >= next) return;
  const use = await describeUse({ chain, account, plan }, { safeTx, safeTxHash });
  throw new SafeNonceError({
    safe,
    nonce: safeTx.nonce,
    next,
    problem: `is used: ${use}`,
    nextStep: "Propose the plan again.",
  });
}

/** What the Safe did with the nonce of this transaction, as the end of a sentence. */
export async function describeUse(
  { chain, account, plan }: Pick<ConnectedSafe, "chain" | "account" | "plan">,
  { safeTx, safeTxHash }: Pick<ProposedTransaction, "safeTx" | "safeTxHash">,
): Promise<string> {
  const fromBlock = plan.pinned.number;
  const executions = await readSafeExecutions(chain.client, { safe: account.safe, fromBlock });
  const use = executionOfNonce(executions, { nonce: safeTx.nonce, next: account.nonce });
  if (use === undefined) return "the Safe has executed another transaction with it";
  const what = use.safeTxHash === safeTxHash ? "the proposal" : `Safe transaction ${use.safeTxHash}`;
  return use.isSuccessful
    ? `transaction ${use.transactionHash} has executed ${what}`
    : `transaction ${use.transactionHash} executed ${what}, but the call inside failed, so nothing changed`;
}

/**
 * The key of the configuration or the hardware wallet, as one of the wanted addresses if there is such a key.
 *
 * @throws what the host throws
 */
export async function readSafeSigner(
  host: CommandHost,
  { chain }: Pick<ConnectedSafe, "chain">,
  { isHardware, wanted }: { readonly isHardware: boolean; readonly wanted: readonly Address[] },
): Promise<TypedDataSigner> {
  if (isHardware) {
    const { address, request } = await host.readHardwareWallet({ chain, wanted });
    return signerOfWallet(address, request);
  }
  const purpose = "the Safe transaction";
  let account = await host.readSigner({ chain, wanted: wanted[0], purpose });
  for (const owner of wanted) {
    if (wanted.some((one) => isAddressEqual(one, account.address))) break;
    account = await host.readSigner({ chain, wanted: owner, purpose });
  }
  return signerOfAccount(chain.client, account);
}

/** Prints what the signers must see: the calls in words, and the hashes that their wallets show. */
export function showSafeTransaction(
  output: Output,
  {
    account,
    calls,
    plan,
  }: Pick<ConnectedSafe, "account" | "calls"> & { readonly plan: Pick<ChangePlan, "task" | "digest"> },
  safeTx: SafeTx,
): void {
  const { domainHash, messageHash, safeTxHash } = safeTxHashes(safeTx, account);
  output.title(`Safe transaction of the plan of dstack ${plan.task}`);
  output.line(`  plan           ${plan.digest}`);
  output.line(`  Safe           ${account.safe}`);
  output.line(`  chain, nonce   ${account.chainId}, ${safeTx.nonce}`);
  output.line(`  to             ${getAddress(safeTx.to)}, ${safeTx.operation === 0 ? "call" : "delegatecall"}`);
  output.line("  calls, in this order:");
  for (const { description, to } of calls) output.line(`    ${description}\n      on ${getAddress(to)}`);
  output.line("  hashes, as hardware wallets and safe-tx-hashes-util print them:");
  output.line(`    Domain hash: ${asOnWallets(domainHash)}`);
  output.line(`    Message hash: ${asOnWallets(messageHash)}`);
  output.line(`    Safe transaction hash: ${safeTxHash}`);
}

function asOnWallets(hash: Hex): string {
  return `0x${hash.slice(2).toUpperCase()}`;
}

/** Names what the Safe executes before a transaction, and what competes with it. */
export function showQueue(
  output: Output,
  { account, queued }: Pick<ConnectedSafe, "account" | "queued">,
  { safeTx, safeTxHash }: Pick<ProposedTransaction, "safeTx" | "safeTxHash">,
): void {
  const { nonce: next } = account;
  if (safeTx.nonce > next) output.line(`\nThe Safe first executes ${noncesFrom(next, safeTx.nonce)}:`);
  for (const one of queued ?? []) {
    const { nonce } = one.safeTx;
    if (nonce > safeTx.nonce || one.safeTxHash === safeTxHash) continue;
    const rival = nonce === safeTx.nonce ? ", with the same nonce: only one of the two can be executed" : "";
    output.line(`  nonce ${nonce}  ${one.safeTxHash}${rival}`);
  }
  for (const nonce of gapsBefore({ account, queued }, safeTx.nonce)) output.line(`  nonce ${nonce}  nothing known`);
}

/** Names the signatures that are not valid, so that the user does not count on them. */
export function showRejected(output: Output, rejected: ProposedTransaction["rejected"]): void {
  for (const { owner, problem } of rejected) output.line(`  not counted: ${owner} ${problem}`);
}

function noncesFrom(first: bigint, end: bigint): string {
  return end - first === 1n ? `nonce ${first}` : `nonces ${first} to ${end - 1n}`;
}

const mostNoncesShown = 20;

/** Nonces before this one that no known transaction has. */
export function gapsBefore(
  { account, queued }: Pick<ConnectedSafe, "account" | "queued">,
  nonce: bigint,
): readonly bigint[] {
  const known = new Set((queued ?? []).map(({ safeTx }) => safeTx.nonce));
  const gaps: bigint[] = [];
  for (let one = account.nonce; one < nonce && gaps.length < mostNoncesShown; one += 1n)
    if (!known.has(one)) gaps.push(one);
  return gaps;
}

/** The Safe transaction, for `--json`. */
export function describeSafeTransaction(
  { plan, account }: Pick<ConnectedSafe, "plan" | "account">,
  safeTx: SafeTx,
): object {
  const { safe, chainId, version, threshold, owners } = account;
  return {
    ...{ planDigest: plan.digest, chainId, safe, version, threshold, owners, safeTx },
    ...safeTxHashes(safeTx, account),
    calls: plan.changes.map(({ call: { to, description } }) => ({ to, description })),
  };
}
