import { estimateUndoPrice } from "../batch/estimate-batch-price.ts";
import { undoDelegation } from "../batch/undo-delegation.ts";
import { parseAddress } from "../chain/client.ts";
import { readDelegation } from "../chain/code.ts";
import { readFees } from "../chain/transactions/fees.ts";
import { formatResult, showPrice } from "../output/price.ts";
import { type DryRunArguments, showDryRun, tipLimitOf } from "./batch-plan.ts";
import type { Command, CommandHost } from "./host.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { createSending, type SendingArguments } from "./sending.ts";
import { signingOf } from "./signing.ts";
import { confirmUnsigned, createBatchOutput, showRecorded } from "./write.ts";

export interface UndoDelegationArguments extends DryRunArguments, SendingArguments, OutputArguments {
  /** The contract to stop delegating to, if it is not the batch executor. */
  readonly delegate?: string | undefined;
}

export const batchUndoDelegation: Command<UndoDelegationArguments> = (args, host) =>
  runTask(args, (io) => undo(args, host, io));

async function undo(args: UndoDelegationArguments, host: CommandHost, io: TaskIo): Promise<TaskOutcome> {
  const delegate = args.delegate === undefined ? undefined : parseAddress("The delegate's address", args.delegate);
  const chain = await host.connectChain();
  const { client, chainId, network } = chain;
  const { choices, openLedger } = signingOf(args, host, chain);
  const account = await host.readSigner({ chain, purpose: "the end of the delegation" });
  const { address } = account;
  const delegation = await readDelegation(client, { address });
  if (delegation.kind !== "delegated") {
    return {
      result: { account: address, chainId, previous: null },
      show: (output) => output.line(`${address} has no delegation on ${network}.`),
    };
  }
  io.output.line(`${address} delegates to ${delegation.to} on ${network}, chain ${chainId}.`);
  const showWhatIsSigned = async () => {
    io.output.line("The account signs a transaction to itself, with an authorisation of the zero address.");
    io.output.line(`  ${tipLimitOf(choices)}`);
    const price = await estimateUndoPrice(client, { address, fees: await readFees(client, choices) });
    showPrice(io.output, price);
    return price;
  };
  if (args.dryRun) {
    const price = await showWhatIsSigned();
    showDryRun(io);
    return { result: { account: address, chainId, outcome: "planned", previous: delegation.to, price } };
  }
  using ledger = await openLedger();
  await showRecorded(io, client, { account, chainId, ledger, purpose: { kind: "undo-delegation" }, calls: [] });
  const price = await showWhatIsSigned();
  await io.confirm("End the delegation? The account's key keeps all its rights.");
  const undone = await undoDelegation(client, {
    ...{ account, delegate, chainId, ledger, ...createSending(io, chain, { choices, ledger, account }) },
    confirmUnsigned: confirmUnsigned(io),
    onEvent: createBatchOutput(io, chain),
  });
  return {
    result: { account: address, chainId, previous: delegation.to, ...undone, price },
    show: (output) => {
      if (undone === undefined) return output.line("The delegation had already ended.");
      output.line(formatResult(`Ended the delegation of ${address}`, [undone.transaction]));
    },
  };
}
