import { isAddressEqual } from "viem";
import { buildSafeBatch } from "../batch/build-safe-batch.ts";
import { estimateSafePrice } from "../batch/estimate-batch-price.ts";
import type { Hex } from "../core/ids.ts";
import { objectionsToSafeTx } from "../core/safe-objections.ts";
import { encodeSafeSignatures, type SafeSignature } from "../core/safe-signing.ts";
import { SafeNonceError, UnusableFileError } from "../errors/index.ts";
import { writeWholeFile } from "../files/own-file.ts";
import { findProposed } from "../governance/safe-find.ts";
import { type SafeProposal, saveProposal } from "../governance/safe-proposal.ts";
import { confirmSafeTransaction, proposeSafeTransaction } from "../governance/safe-queue.ts";
import { requireSafeOwner, signSafeTransaction } from "../governance/safe-sign.ts";
import { describeConfirmations, shellWord } from "../output/format.ts";
import { describeApplied } from "../output/plan.ts";
import { showPrice } from "../output/price.ts";
import type { Command, CommandHost } from "./host.ts";
import { commandsAfter } from "./plan-progress.ts";
import { runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import {
  type ConnectedSafe,
  connectSafe,
  describeSafeTransaction,
  describeUse,
  gapsBefore,
  readSafeSigner,
  requireOpenPlan,
  requireUnused,
  type SafeArguments,
  type SafeSigningArguments,
  showQueue,
  showRejected,
  showSafeTransaction,
} from "./safe-context.ts";

/** Builds the Safe transaction of a plan, and posts it to the service or writes files that owners pass to each other. */
export const safePropose: Command<SafeSigningArguments> = (args, host) =>
  runTask(args, (io) => propose(io, args, host));

async function propose(io: TaskIo, args: SafeSigningArguments, host: CommandHost): Promise<TaskOutcome> {
  const connected = await connectSafe(io, args, host, { mayBeNew: true });
  const { plan, chain, account, service, proposalFile, calls } = connected;
  const applied = await requireOpenPlan(connected, args.file);
  if (applied !== undefined) return alreadyApplied(connected, args.file, applied);
  const { output } = io;
  const nonce = await chooseNonce(io, connected);
  const { client } = chain;
  const allowNoEffect = plan.accepted.includes("no-effect");
  const { safe, chainId } = account;
  const name = `dstack ${plan.task}`;
  const batch = await buildSafeBatch(client, { calls, safe, chainId, nonce, name, allowNoEffect });
  const { safeTx, safeTxHash } = batch;
  showSafeTransaction(output, connected, safeTx);
  showQueue(output, connected, batch);
  if (service === undefined)
    output.line("\nWithout a service, what other owners have queued is not known: see --nonce.");
  output.line("\nWhat the account pays that executes it:");
  const price = await estimateSafePrice(client, batch);
  showPrice(output, price);
  const earlier = connected.copies.filter(({ proposal }) => proposal.safeTxHash === safeTxHash);
  const proposal: SafeProposal = {
    ...{ chainId, safe, version: account.version, safeTx, safeTxHash, plan: plan.digest },
    confirmations: earlier.flatMap((copy) => copy.proposal.confirmations),
  };
  const described = { ...describeSafeTransaction(connected, safeTx), planFile: args.file, price };
  if (service !== undefined) {
    const signer = await readSafeSigner(host, connected, {
      isHardware: args.hardwareWallet === true,
      wanted: account.owners,
    });
    await io.confirm(`Sign it as ${signer.address}, and propose it to ${service.host}?`);
    const signature = await signSafeTransaction(signer, { account, safeTx });
    const kept = await proposeSafeTransaction(client, service, { account, safeTx, signature, origin: name });
    const isOwner = account.owners.some((owner) => isAddressEqual(owner, signature.signer));
    await saveProposal(proposalFile, isOwner ? withConfirmation(proposal, signature) : proposal);
    output.step(
      "proposed",
      `to ${service.host}, ${describeConfirmations(kept.confirmations.length, account.threshold)}`,
    );
    if (!isOwner)
      output.detail("", `${signature.signer} is a delegate: its signature does not count as a confirmation`);
  } else {
    await saveProposal(proposalFile, proposal);
  }
  const builderFile = service === undefined ? proposalFile.replace(/(?:\.safe)?\.json$|$/, ".builder.json") : null;
  if (builderFile !== null) await writeBuilderFile(builderFile, batch.file);
  const next = nextTask("sign", args, chain.network);
  return {
    result: { ...described, outcome: "proposed", service: service?.host ?? null, proposalFile, builderFile },
    show: () => {
      output.line(`\nWrote the proposal to ${proposalFile}. Nothing was executed.`);
      if (builderFile !== null) output.line(`For the Safe app's Transaction Builder: ${builderFile}`);
      output.line(`Now ${account.threshold} of ${account.owners.length} owners sign, each with the plan:\n  ${next}`);
    },
  };

  async function writeBuilderFile(file: string, content: object): Promise<void> {
    await writeWholeFile(file, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 }).catch((error: unknown) => {
      if (!(error instanceof UnusableFileError)) throw error;
      output.line(`The file for the Transaction Builder was not written: ${error.message}`);
    });
  }
}

/**
 * The nonce of the proposal: the named one, that of an earlier proposal of the plan that can still be executed, or the
 * one after everything that is queued.
 *
 * @throws SafeNonceError
 */
async function chooseNonce({ output }: TaskIo, connected: ConnectedSafe): Promise<bigint> {
  const { plan, account, queued, copies, calls, nonce: named } = connected;
  const { nonce: next, safe } = account;
  const earlier = copies.map(({ proposal }) => proposal).find((proposal) => proposal.plan === plan.digest);
  if (earlier !== undefined && earlier.safeTx.nonce < next) {
    const use = await describeUse(connected, earlier);
    output.line(`The earlier proposal had nonce ${earlier.safeTx.nonce}, which is used: ${use}.`);
    output.line("The plan is proposed anew.");
  }
  if (named !== undefined && named < next)
    throw new SafeNonceError({
      ...{ safe, nonce: named, next, problem: `is used: the Safe's next nonce is ${next}` },
      nextStep: `Name nonce ${next} or a later one.`,
    });
  if (named !== undefined) return named;
  const isOpen = (safeTx: SafeProposal["safeTx"]) =>
    safeTx.nonce >= next && objectionsToSafeTx(safeTx, { safe, calls }).length === 0;
  const proposed = [...(earlier === undefined ? [] : [earlier]), ...(queued ?? [])].find(({ safeTx }) =>
    isOpen(safeTx),
  );
  if (proposed !== undefined) {
    output.line(`The plan's calls are already proposed with nonce ${proposed.safeTx.nonce}.`);
    return proposed.safeTx.nonce;
  }
  const last = queued?.at(-1)?.safeTx.nonce;
  return last === undefined || last < next ? next : last + 1n;
}

export function withConfirmation(proposal: SafeProposal, signature: SafeSignature): SafeProposal {
  const added = { owner: signature.signer, signature: encodeSafeSignatures([signature]) };
  const others = proposal.confirmations.filter(({ owner }) => !isAddressEqual(owner, signature.signer));
  return { ...proposal, confirmations: [...others, added] };
}

/** The next task about the same proposal, as a command. */
export function nextTask(
  task: "propose" | "sign" | "execute",
  { file, proposal, service, nonce }: SafeArguments,
  network: string,
): string {
  const copy = proposal?.split(",").find((path) => path.trim() !== "");
  const options = [
    ...(copy === undefined ? [] : [`--proposal ${shellWord(copy.trim())}`]),
    ...(service === undefined ? [] : [`--service ${shellWord(service)}`]),
    ...(nonce === undefined || task !== "sign" ? [] : [`--nonce ${shellWord(nonce)}`]),
  ];
  return ["npx hardhat dstack safe", task, shellWord(file), ...options, `--network ${network}`].join(" ");
}

export function alreadyApplied(
  { plan, chain }: Pick<ConnectedSafe, "plan" | "chain">,
  file: string,
  { appliedBy, undone }: { readonly appliedBy: readonly Hex[]; readonly undone: readonly string[] },
): TaskOutcome {
  return {
    result: { planDigest: plan.digest, outcome: "applied", appliedBy, undone },
    show: (output) => {
      output.line("Nothing was signed or sent.");
      for (const line of describeApplied(appliedBy, undone)) output.line(line);
      for (const line of commandsAfter(plan, file, chain.network)) output.line(line);
    },
  };
}

/** Signs the Safe transaction of a plan, after computing everything again from the plan's calldata. */
export const safeSign: Command<SafeSigningArguments> = (args, host) => runTask(args, (io) => sign(io, args, host));

async function sign(io: TaskIo, args: SafeSigningArguments, host: CommandHost): Promise<TaskOutcome> {
  const connected = await connectSafe(io, args, host);
  const { plan, chain, account, service, queued, copies, proposalFile, nonce } = connected;
  const { client } = chain;
  const { output } = io;
  const applied = await requireOpenPlan(connected, args.file);
  if (applied !== undefined) return alreadyApplied(connected, args.file, applied);
  const found = await findProposed(client, { plan, account, copies, queued, nonce });
  const { safeTx, safeTxHash, confirmations, rejected } = found;
  await requireUnused(connected, found);
  requireKnownNonces(connected, safeTx.nonce);
  showSafeTransaction(output, connected, safeTx);
  showQueue(output, connected, found);
  const described = { ...describeSafeTransaction(connected, safeTx), planFile: args.file };
  const signed = confirmations.map(({ signer }) => signer);
  const isSigned = (owner: Hex) => signed.some((one) => isAddressEqual(one, owner));
  const wanted = [...account.owners.filter((owner) => !isSigned(owner)), ...signed];
  const signer = await readSafeSigner(host, connected, { isHardware: args.hardwareWallet === true, wanted });
  requireSafeOwner(account, signer.address);
  showRejected(output, rejected);
  output.line();
  if (isSigned(signer.address)) {
    return {
      result: { ...described, outcome: "signed before", signer: signer.address, confirmedBy: signed, rejected },
      show: () => {
        const have = describeConfirmations(signed.length, account.threshold);
        output.line(`${signer.address} has already signed it. It has ${have}.`);
        showNext(signed.length);
      },
    };
  }
  await io.confirm(`Sign it as ${signer.address}?`);
  const signature = await signSafeTransaction(signer, { account, safeTx });
  if (service !== undefined && found.isInService)
    await confirmSafeTransaction(client, service, { account, safeTxHash, signature });
  else if (service !== undefined) {
    await proposeSafeTransaction(client, service, { account, safeTx, signature, origin: `dstack ${plan.task}` });
  }
  const stated = confirmations.map((entry) => ({ owner: entry.signer, signature: encodeSafeSignatures([entry]) }));
  const { chainId, safe, version } = account;
  const proposal = { chainId, safe, version, safeTx, safeTxHash, plan: plan.digest, confirmations: stated };
  await saveProposal(proposalFile, withConfirmation(proposal, signature));
  const confirmedBy = [...signed, signature.signer];
  return {
    result: {
      ...{ ...described, outcome: "signed", signer: signature.signer, signature: encodeSafeSignatures([signature]) },
      ...{ confirmedBy, rejected, service: service?.host ?? null, proposalFile },
    },
    show: () => {
      output.step("signed", `by ${signature.signer}; ${describeConfirmations(confirmedBy.length, account.threshold)}`);
      if (service !== undefined) output.detail("service", `${service.host} has the signature`);
      output.line(`\nThe signature is also in ${proposalFile}.`);
      showNext(confirmedBy.length);
    },
  };

  function showNext(confirmed: number): void {
    const isEnough = BigInt(confirmed) >= account.threshold;
    const when = safeTx.nonce === account.nonce ? "now" : `after nonce ${safeTx.nonce - 1n}`;
    const what = isEnough ? `Anyone can execute it ${when}` : "Another owner signs it";
    output.line(`${what}:\n  ${nextTask(isEnough ? "execute" : "sign", args, chain.network)}`);
  }
}

/**
 * A signature for a nonce in the future stays valid, and may be used long after its reasons are gone.
 *
 * @throws SafeNonceError unless every nonce before has a known transaction, or the user named the nonce
 */
function requireKnownNonces({ account, queued, nonce: named }: ConnectedSafe, nonce: bigint): void {
  const { safe, nonce: next } = account;
  const [gap] = gapsBefore({ account, queued }, nonce);
  if (gap === undefined || named === nonce) return;
  throw new SafeNonceError({
    ...{ safe, nonce, next, problem: `is not next, and nothing is known that has nonce ${gap}` },
    nextStep: `A signature for it stays valid until something uses the nonce. To sign it anyway, name the nonce: --nonce ${nonce}.`,
  });
}
