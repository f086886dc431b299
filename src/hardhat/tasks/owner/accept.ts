import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { readAppStatus } from "../../../chain/read-app.ts";
import { acceptOwnershipCall } from "../../../core/owner-calls.ts";
import { InvalidArgumentError } from "../../../errors/index.ts";
import { describeOwnerFully } from "../../../report/format.ts";
import { connectApp } from "../../connect/connect-app.ts";
import { requireApp } from "../../connect/require-app.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../../connect/run-task.ts";
import { lintBeforeWrite } from "../../lint/lint-before-write.ts";
import { carryOut } from "../../write/carry-out.ts";

export interface OwnerAcceptArguments extends AppArguments, OutputArguments {
  readonly batch?: string | undefined;
  readonly accept?: string | undefined;
}

const action: NewTaskActionFunction<OwnerAcceptArguments> = (args, hre) => runTask(args, (io) => accept(args, hre, io));
export default action;

async function accept(args: OwnerAcceptArguments, hre: HardhatRuntimeEnvironment, io: TaskIo): Promise<TaskOutcome> {
  const app = await connectApp(args, hre);
  const { client, appId } = app;
  const status = await readAppStatus(client, { appId });
  const { owner, pendingOwner, isTwoStep } = requireApp(status, appId);
  if (pendingOwner === undefined) {
    throw new InvalidArgumentError(`Nobody is invited to own ${appId}.`, {
      nextStep: isTwoStep
        ? "The present owner must offer it first: dstack owner transfer."
        : "A contract of this version changes hands at once, with dstack owner transfer.",
      context: { appId, owner: owner.address },
    });
  }
  const calls = [acceptOwnershipCall({ appId })];
  const { findings } = await lintBeforeWrite(io, app, { accept: args.accept, status, calls, ignoresKeyEpochs: true });
  io.paper.line(`owner      ${describeOwnerFully(owner)}`);
  io.paper.line(`new owner  ${describeOwnerFully(pendingOwner)}`);
  const sent = await carryOut(io, app, { calls, signatory: pendingOwner, batch: args.batch });
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
    show: (paper) => {
      if (sent.mode !== "safe") paper.line(`\nAccepted. ${after.owner.address} is the owner now.`);
    },
  };
}
