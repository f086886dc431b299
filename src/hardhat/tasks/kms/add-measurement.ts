import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { addKmsAggregatedMrCall } from "../../../core/owner-calls.ts";
import { runTask } from "../../connect/run-task.ts";
import { type ChangeKmsArguments, changeKms } from "../../kms/change-kms.ts";

const action: NewTaskActionFunction<ChangeKmsArguments> = (args, hre) =>
  runTask(args, (io) =>
    changeKms(io, args, hre, {
      what: "The aggregated measurement",
      bytes: 32,
      build: (kms, mrAggregated) => addKmsAggregatedMrCall({ kms, mrAggregated }),
      warning: "KMS nodes with this measurement get the keys of all apps then.",
    }),
  );
export default action;
