import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { addOsImageHashCall } from "../../../core/owner-calls.ts";
import { runTask } from "../../connect/run-task.ts";
import { type ChangeKmsArguments, changeKms } from "../../kms/change-kms.ts";

const action: NewTaskActionFunction<ChangeKmsArguments> = (args, hre) =>
  runTask(args, (io) =>
    changeKms(io, args, hre, {
      what: "The OS image hash",
      bytes: 32,
      build: (kms, osImageHash) => addOsImageHashCall({ kms, osImageHash }),
      warning: "Every app of this KMS may boot this OS image then.",
    }),
  );
export default action;
