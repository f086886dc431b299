import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { addKmsDeviceCall } from "../../../core/owner-calls.ts";
import { runTask } from "../../connect/run-task.ts";
import { type ChangeKmsArguments, changeKms } from "../../kms/change-kms.ts";

const action: NewTaskActionFunction<ChangeKmsArguments> = (args, hre) =>
  runTask(args, (io) =>
    changeKms(io, args, hre, {
      what: "The device id",
      bytes: 32,
      build: (kms, deviceId) => addKmsDeviceCall({ kms, deviceId }),
      warning: "KMS nodes, which hold the keys of all apps, may run on this device then.",
    }),
  );
export default action;
