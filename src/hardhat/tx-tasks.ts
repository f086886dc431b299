import { emptyTask, task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import { jsonFlag, ledgerOption, sendingTask, transactionHashOption, withExample } from "./options.ts";
import { run } from "./tasks.ts";

const transactionArgument = {
  name: "transaction",
  description: "Its id in the ledger, or the hash of one of its attempts",
  type: ArgumentType.STRING,
  defaultValue: "",
} as const;

export const txTasks = [
  emptyTask(["dstack", "tx"], "The transactions that this project's tasks recorded").build(),
  task(
    ["dstack", "tx", "list"],
    withExample(
      "Lists the open and the recent transactions of the ledger, with their price against the present base fee",
      "tx list --network base",
    ),
  )
    .addOption(ledgerOption)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/tx.ts")).txList))
    .build(),
  task(
    ["dstack", "tx", "show"],
    withExample("Shows one transaction of the ledger, with every attempt and how it ended", "tx show 3 --network base"),
  )
    .addPositionalArgument(transactionArgument)
    .addOption(transactionHashOption)
    .addOption(ledgerOption)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/tx.ts")).txShow))
    .build(),
  sendingTask(
    ["dstack", "tx", "replace"],
    withExample(
      "Sends an open transaction again with the same nonce and the same calls, for a price that the node takes, and waits for it",
      "tx replace 3 --max-fee 2.5 --network base",
    ),
  )
    .addPositionalArgument(transactionArgument)
    .setAction(run(async () => (await import("../commands/tx-replace.ts")).txReplace))
    .build(),
  sendingTask(
    ["dstack", "tx", "cancel"],
    withExample(
      "Spends the nonce of an open transaction on nothing, so that its calls are never made, and waits for that",
      "tx cancel 3 --network base",
    ),
  )
    .addPositionalArgument(transactionArgument)
    .setAction(run(async () => (await import("../commands/tx-replace.ts")).txCancel))
    .build(),
];
