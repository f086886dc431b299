import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { removeKmsAggregatedMrCall } from "../../../core/owner-calls.ts";
import { runTask } from "../../connect/run-task.ts";
import { type ChangeKmsArguments, changeKms } from "../../kms/change-kms.ts";

const action: NewTaskActionFunction<ChangeKmsArguments> = (args, hre) =>
  runTask(args, (io) =>
    changeKms(io, args, hre, {
      what: "The aggregated measurement",
      bytes: 32,
      build: (kms, mrAggregated) => removeKmsAggregatedMrCall({ kms, mrAggregated }),
      warning: "KMS nodes with this measurement do not start any more; those that run go on.",
    }),
  );
export default action;
