import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { removeOsImageHashCall } from "../../../core/owner-calls.ts";
import { runTask } from "../../connect/run-task.ts";
import { type ChangeKmsArguments, changeKms } from "../../kms/change-kms.ts";

const action: NewTaskActionFunction<ChangeKmsArguments> = (args, hre) =>
  runTask(args, (io) =>
    changeKms(io, args, hre, {
      what: "The OS image hash",
      bytes: 32,
      build: (kms, osImageHash) => removeOsImageHashCall({ kms, osImageHash }),
      warning: "NO APP of this KMS boots this OS image any more, from the next start of each CVM on.",
    }),
  );
export default action;
