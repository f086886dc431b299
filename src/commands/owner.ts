import { isAddressEqual, zeroAddress } from "viem";
import { parseAddress } from "../chain/client.ts";
import { readAppStatus } from "../chain/read-app.ts";
import { acceptOwnershipCall, transferOwnershipCall } from "../core/owner-calls.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { describeOwnerFully } from "../output/format.ts";
import { parseAccept } from "./arguments.ts";
import { type AppArguments, connectApp, requireApp } from "./connect-app.ts";
import { examineTransfer, howToAccept } from "./examine-transfer.ts";
import type { Command, CommandHost } from "./host.ts";
import { lintBeforeWrite } from "./lint.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { type ChangeAppArguments, executeCalls, isSent, planRequestOf } from "./write.ts";

export interface OwnerTransferArguments extends AppArguments, ChangeAppArguments, OutputArguments {
  /** Address of the new owner. */
  readonly address: string;
}

export const ownerTransfer: Command<OwnerTransferArguments> = (args, host) =>
  runTask(args, (io) => transfer(args, host, io));

export async function transfer(args: OwnerTransferArguments, host: CommandHost, io: TaskIo): Promise<TaskOutcome> {
  const accepted = parseAccept("owner transfer", args.accept);
  const newOwner = parseAddress("The new owner's address", args.address);
  const app = await connectApp(args, host);
  const { client, appId } = app;
  const status = await readAppStatus(client, { appId });
  const { owner, pendingOwner, isTwoStep } = requireApp(status, appId);
  if (isAddressEqual(newOwner, owner.address) && pendingOwner === undefined) {
    throw new InvalidArgumentError(`${newOwner} already owns the app.`, { nextStep: "Nothing was sent." });
  }
  const isWithdrawal = isAddressEqual(newOwner, zeroAddress);
  if (isWithdrawal && pendingOwner === undefined) {
    throw new InvalidArgumentError(`App ${appId} has no pending owner, so there is no offer to withdraw.`, {
      nextStep: "Nothing was sent. Give the address of the new owner.",
    });
  }
  const calls = [transferOwnershipCall({ appId, newOwner })];
  const { findings } = await lintBeforeWrite(io, app, { accepted, status, calls, ignoresKeyEpochs: true });
  io.output.line(`owner      ${describeOwnerFully(owner)}`);
  if (isWithdrawal && pendingOwner !== undefined)
    io.output.line(`withdraws  the offer to ${describeOwnerFully(pendingOwner)}`);
  const examined = await examineTransfer(io, app, { calls, accepted });
  const { batch, dryRun } = args;
  const plan = planRequestOf(args, { appId, accepted });
  const sent = await executeCalls(io, app, { calls, signer: owner, batch, dryRun, plan });
  const after = requireApp(await readAppStatus(client, { appId }), appId);
  return {
    result: {
      appId,
      chainId: app.chainId,
      isTwoStep,
      owner: after.owner,
      pendingOwner: after.pendingOwner ?? null,
      newOwner: examined?.newOwner ?? null,
      findings: [...findings, ...(examined?.findings ?? [])],
      ...sent,
    },
    show: (output) => {
      if (examined === undefined) {
        if (isSent(sent)) output.line(`\nWithdrew the offer. ${after.owner.address} stays the owner.`);
      } else if (!isTwoStep) {
        if (isSent(sent)) output.line(`\nTransferred the ownership. ${after.owner.address} is now the owner.`);
      } else if (dryRun !== true) {
        output.line(
          isSent(sent)
            ? `\nOffered the ownership to ${newOwner}. Until the new owner accepts it, ${after.owner.address} stays the owner.`
            : "\nThe offer stands when the present owner has executed this.",
        );
        for (const line of howToAccept(app, examined.newOwner)) output.line(line);
      }
    },
  };
}

export interface OwnerAcceptArguments extends AppArguments, ChangeAppArguments, OutputArguments {}

export const ownerAccept: Command<OwnerAcceptArguments> = (args, host) => runTask(args, (io) => accept(args, host, io));

export async function accept(args: OwnerAcceptArguments, host: CommandHost, io: TaskIo): Promise<TaskOutcome> {
  const accepted = parseAccept("owner accept", args.accept);
  const app = await connectApp(args, host);
  const { client, appId } = app;
  const status = await readAppStatus(client, { appId });
  const { owner, pendingOwner, isTwoStep } = requireApp(status, appId);
  if (pendingOwner === undefined) {
    throw new InvalidArgumentError(`App ${appId} has no pending owner.`, {
      nextStep: isTwoStep
        ? "The current owner must offer the ownership first, with dstack owner transfer."
        : "A contract of this version transfers the ownership immediately, with dstack owner transfer.",
      context: { appId, owner: owner.address },
    });
  }
  const calls = [acceptOwnershipCall({ appId })];
  const { findings } = await lintBeforeWrite(io, app, { accepted, status, calls, ignoresKeyEpochs: true });
  io.output.line(`owner      ${describeOwnerFully(owner)}`);
  io.output.line(`new owner  ${describeOwnerFully(pendingOwner)}`);
  const { batch, dryRun } = args;
  const plan = planRequestOf(args, { appId, accepted });
  const sent = await executeCalls(io, app, { calls, signer: pendingOwner, batch, dryRun, plan });
  const after = requireApp(await readAppStatus(client, { appId }), appId);
  return {
    result: {
      appId,
      chainId: app.chainId,
      owner: after.owner,
      pendingOwner: after.pendingOwner ?? null,
      findings,
      ...sent,
    },
    show: (output) => {
      if (isSent(sent)) output.line(`\nAccepted the ownership. ${after.owner.address} is now the owner.`);
    },
  };
}

export interface OwnerShowArguments extends AppArguments, OutputArguments {}

export const ownerShow: Command<OwnerShowArguments> = (args, host) => runTask(args, () => show(args, host));

async function show(args: OwnerShowArguments, host: CommandHost): Promise<TaskOutcome> {
  const { client, appId, chainId } = await connectApp(args, host);
  const { owner, pendingOwner, isTwoStep, blockNumber } = requireApp(await readAppStatus(client, { appId }), appId);
  return {
    result: { appId, chainId, blockNumber, owner, pendingOwner: pendingOwner ?? null, isTwoStep },
    show: (output) => {
      output.line(`app       ${appId}`);
      output.line(`owner     ${describeOwnerFully(owner)}`);
      output.line(`pending   ${pendingOwner === undefined ? "none" : describeOwnerFully(pendingOwner)}`);
      output.line(
        `transfer  ${isTwoStep ? "in two steps: the new owner must accept" : "IN ONE STEP: it takes effect immediately"}`,
      );
    },
  };
}
