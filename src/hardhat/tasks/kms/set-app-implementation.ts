import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { requireCode } from "../../../chain/code.ts";
import { setAppImplementationCall } from "../../../core/owner-calls.ts";
import { runTask } from "../../connect/run-task.ts";
import { type ChangeKmsArguments, changeKms } from "../../kms/change-kms.ts";

const action: NewTaskActionFunction<ChangeKmsArguments> = (args, hre) =>
  runTask(args, (io) =>
    changeKms(io, args, hre, {
      what: "The implementation's address",
      bytes: 20,
      build: (kms, implementation) => setAppImplementationCall({ kms, implementation }),
      warning: "Apps created from now on run this code. Those that exist keep theirs.",
      check: ({ client }, address) => requireCode(client, { address }),
    }),
  );
export default action;
