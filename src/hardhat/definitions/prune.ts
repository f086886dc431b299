import { task } from "hardhat/config";
import {
  acceptOption,
  appOption,
  batchOption,
  cvmOption,
  fromBlockOption,
  jsonFlag,
  optional,
  storeOption,
  withExample,
  yesFlag,
} from "../options.ts";

export const pruneTasks = [
  task(
    ["dstack", "prune"],
    withExample(
      "Removes the compose hashes that nothing needs any more, and says of each one why it stays or goes",
      "prune --app my-app --keep 5 --older-than 30d --dry-run",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(optional("keep", "How many of the newest hashes stay, in use or not (default: 3)"))
    .addOption(optional("olderThan", "Only hashes added longer ago than this go: 30d, 12h, 90m"))
    .addOption(optional("pin", "Hashes that stay, separated by commas; dstack.apps may pin some too"))
    .addOption(
      optional("queued", "Calls that wait in a Safe or timelock, whose hashes stay: files or 0x…, separated by commas"),
    )
    .addOption(
      optional(
        "waive",
        "What you answer for although it is not known: running-hashes, prepare-tokens, other-machines, history, proof",
      ),
    )
    .addFlag({ name: "allowEmpty", description: "Remove even the last hash of the list" })
    .addFlag({ name: "dryRun", description: "Show the plan and send nothing" })
    .addOption(optional("plan", "File to write the plan to, or to carry out if it is there"))
    .addOption(batchOption)
    .addFlag({ name: "prove", description: "Prove by eth_getProof that the list has no hash the events hide" })
    .addOption(optional("journal", "File that remembers what was signed (default: one per app in .dstack)"))
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(acceptOption)
    .addFlag(jsonFlag)
    .addFlag(yesFlag)
    .setAction(() => import("../tasks/prune.ts"))
    .build(),
];
