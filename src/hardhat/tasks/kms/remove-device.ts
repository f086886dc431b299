import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { removeKmsDeviceCall } from "../../../core/owner-calls.ts";
import { runTask } from "../../connect/run-task.ts";
import { type ChangeKmsArguments, changeKms } from "../../kms/change-kms.ts";

const action: NewTaskActionFunction<ChangeKmsArguments> = (args, hre) =>
  runTask(args, (io) =>
    changeKms(io, args, hre, {
      what: "The device id",
      bytes: 32,
      build: (kms, deviceId) => removeKmsDeviceCall({ kms, deviceId }),
      warning: "KMS nodes do not start on this device any more; those that run go on.",
    }),
  );
export default action;
