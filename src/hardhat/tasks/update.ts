import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { createUpdatePrinter } from "../../report/update-printer.ts";
import { openJournal } from "../../update/journal.ts";
import { updateCvm } from "../../update/update-cvm.ts";
import type { UpdateResult } from "../../update/update-result.ts";
import { reportGenerations } from "../connect/generations.ts";
import { runTask, type TaskIo, type TaskOutcome } from "../connect/run-task.ts";
import { prepareJournalPath } from "../journal-path.ts";
import { connectUpdate } from "../update/connect-update.ts";
import { parseUpdateArguments, type UpdateArguments } from "../update/parse-arguments.ts";

const action: NewTaskActionFunction<UpdateArguments> = (args, hre) => runTask(args, (io) => update(io, args, hre));
export default action;

async function update(io: TaskIo, args: UpdateArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const request = await parseUpdateArguments(args, process.env);
  const { contracts, ...connected } = await connectUpdate(io, hre, { request, accept: args.accept });
  const journal = await openJournal(await prepareJournalPath(hre.config.paths.root, args.journal, "journal.jsonl"));
  try {
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
      show: (paper) => paper.line(`\n${describe(result)}`),
    };
  } finally {
    await journal.close();
  }
}

function describe({ outcome, cvm, composeHash }: UpdateResult): string {
  const what = `${cvm}: ${outcome}, compose hash ${composeHash}`;
  return outcome === "confirmed" ? `${what}. The cloud rolls over now; --wait follows it to its end.` : what;
}
