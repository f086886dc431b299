import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { isAddressEqual } from "viem";
import { parseAddress } from "../../../chain/client.ts";
import { readAppStatus } from "../../../chain/read-app.ts";
import { readOwner } from "../../../chain/read-owner.ts";
import { transferOwnershipCall } from "../../../core/owner-calls.ts";
import { InvalidArgumentError } from "../../../errors/index.ts";
import { describeOwnerFully } from "../../../report/format.ts";
import { connectApp } from "../../connect/connect-app.ts";
import { requireApp } from "../../connect/require-app.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../../connect/run-task.ts";
import { lintBeforeWrite } from "../../lint/lint-before-write.ts";
import { carryOut } from "../../write/carry-out.ts";

export interface OwnerTransferArguments extends AppArguments, OutputArguments {
  /** Of the new owner. */
  readonly address: string;
  readonly batch?: string | undefined;
  readonly accept?: string | undefined;
}

const action: NewTaskActionFunction<OwnerTransferArguments> = (args, hre) =>
  runTask(args, (io) => transfer(args, hre, io));
export default action;

async function transfer(
  args: OwnerTransferArguments,
  hre: HardhatRuntimeEnvironment,
  io: TaskIo,
): Promise<TaskOutcome> {
  const newOwner = parseAddress("The new owner's address", args.address);
  const app = await connectApp(args, hre);
  const { client, appId } = app;
  const status = await readAppStatus(client, { appId });
  const { owner, pendingOwner, isTwoStep } = requireApp(status, appId);
  if (isAddressEqual(newOwner, owner.address) && pendingOwner === undefined) {
    throw new InvalidArgumentError(`${newOwner} owns the app already.`, { nextStep: "Nothing was sent." });
  }
  const described = await readOwner(client, { address: newOwner });
  const calls = [transferOwnershipCall({ appId, newOwner })];
  const { findings } = await lintBeforeWrite(io, app, {
    accept: args.accept,
    status,
    calls,
    newOwner: described,
    ignoresKeyEpochs: true,
  });

  io.paper.line(`owner      ${describeOwnerFully(owner)}`);
  io.paper.line(`new owner  ${describeOwnerFully(described)}`);
  for (const line of isTwoStep ? twoSteps : oneStep) io.paper.line(line);
  const sent = await carryOut(io, app, { calls, signatory: owner, batch: args.batch });
  const after = requireApp(await readAppStatus(client, { appId }), appId);
  return {
    result: {
      appId,
      chainId: app.chainId,
      isTwoStep,
      owner: after.owner,
      pendingOwner: after.pendingOwner ?? null,
      findings,
      ...sent,
    },
    show: (paper) => {
      if (sent.mode === "safe") return;
      paper.line(
        isTwoStep
          ? `\nOffered. ${after.owner.address} is still the owner, until dstack owner accept runs as ${newOwner}.`
          : `\nTransferred. ${after.owner.address} is the owner now.`,
      );
    },
  };
}

const twoSteps = [
  "Two steps: the new owner must accept. Until then the present one stays, and can withdraw the offer.",
];
const oneStep = [
  "ONE STEP: this contract is of the first versions. The transfer takes effect at once and nobody can take it back.",
  "A new owner that cannot sign means that this app can never be changed again.",
];
