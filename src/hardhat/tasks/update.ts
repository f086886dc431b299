import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import type { Paper } from "../../report/output.ts";
import { createUpdatePrinter } from "../../report/update-printer.ts";
import { openJournal } from "../../update/journal.ts";
import type { JournalState } from "../../update/journal-state.ts";
import type { UpdateResult } from "../../update/run.ts";
import { updateCvm } from "../../update/update-cvm.ts";
import { reportGenerations } from "../connect/generations.ts";
import { runTask, type TaskIo, type TaskOutcome } from "../connect/run-task.ts";
import { prepareJournalPath } from "../journal-path.ts";
import { connectUpdate, findGivenApp } from "../update/connect-update.ts";
import { parseUpdateArguments, type UpdateArguments } from "../update/parse-arguments.ts";

const action: NewTaskActionFunction<UpdateArguments> = (args, hre) => runTask(args, (io) => update(io, args, hre));
export default action;

async function update(io: TaskIo, args: UpdateArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const app = await findGivenApp(args, hre);
  const asked = await parseUpdateArguments({ ...args, cvm: args.cvm ?? app?.cvm }, process.env);
  const { contracts, request, ...connected } = await connectUpdate(io, hre, { args, app, request: asked });
  const journal = await openJournal(await prepareJournalPath(hre.config.paths.root, args.journal, "journal.jsonl"));
  try {
    showRecorded(io.paper, journal.state);
    const result = await updateCvm({
      ...request,
      ...connected,
      journal,
      waitForRollover: args.wait === true,
      signal: io.signal,
      onStep: createUpdatePrinter(io.paper),
    });
    return {
      result: { ...result, ...reportGenerations(contracts) },
      show: (paper) => show(paper, result),
    };
  } finally {
    await journal.close();
  }
}

function show(paper: Paper, result: UpdateResult): void {
  paper.line(`\n${describe(result)}`);
  const { allowedDevice, warnings } = result;
  if (allowedDevice !== undefined) paper.line(`Allowed device ${allowedDevice.deviceId}, named by the cloud.`);
  for (const warning of warnings) paper.line(`Warning: ${warning}`);
}

/** What earlier runs have signed without seeing its end. This run sees to the end what it needs of it. */
function showRecorded(paper: Paper, { payments }: JournalState): void {
  for (const { status, prepared } of payments.values()) {
    if (status === "mined") continue;
    const { step, value, appId, chainId, nonce } = prepared;
    paper.line(`On record, its end not seen: ${step}(${value}) of app ${appId} on chain ${chainId}, nonce ${nonce}.`);
  }
}

function describe({ outcome, cvm, composeHash }: UpdateResult): string {
  const what = `${cvm}: ${outcome}, compose hash ${composeHash}`;
  return outcome === "confirmed" ? `${what}. The cloud rolls over now; --wait follows it to its end.` : what;
}
