import { emptyTask, task } from "hardhat/config";
import {
  appOption,
  cvmOption,
  jsonFlag,
  optional,
  pinOption,
  planFileArgument,
  planTask,
  queuedOption,
  sendingPlanTask,
  serviceOption,
  transactionHashOption,
  withExample,
  yesFlag,
} from "./options.ts";
import { run } from "./tasks.ts";

const proposalOption = optional(
  "proposal",
  "Files of the proposal, separated by commas, whose signatures are joined (default: PLAN.safe.json beside the plan)",
);
const nonceOption = optional("nonce", "Nonce of the Safe transaction (default: the one after what is queued)");
const hardwareFlag = {
  name: "hardwareWallet",
  description: "Sign with the Ledger of @nomicfoundation/hardhat-ledger (networks.NAME.ledgerAccounts)",
} as const;

/** A task about the Safe transaction of a plan. */
function safeTask(name: string, description: string, example: string) {
  return planTask(["dstack", "safe", name], withExample(description, `safe ${example}`))
    .addOption(proposalOption)
    .addOption(serviceOption);
}

/** A task that signs for an owner, and sends nothing to the chain. */
function signingTask(name: string, description: string, example: string) {
  return safeTask(name, description, example)
    .addOption(nonceOption)
    .addOption(pinOption)
    .addOption(queuedOption)
    .addFlag(hardwareFlag)
    .addFlag(yesFlag);
}

export const safeTasks = [
  emptyTask(["dstack", "safe"], "Plans whose owner is a Safe").build(),
  signingTask(
    "propose",
    "Builds the Safe transaction of a plan, shows its hashes, and posts it to a Safe transaction service or writes files for the owners",
    "propose plan.json --network base",
  )
    .setAction(run(async () => (await import("../commands/safe.ts")).safePropose))
    .build(),
  signingTask(
    "sign",
    "Signs the Safe transaction of a plan as an owner, after computing everything again from the plan's calldata",
    "sign plan.json --network base",
  )
    .setAction(run(async () => (await import("../commands/safe.ts")).safeSign))
    .build(),
  sendingPlanTask(
    ["dstack", "safe", "execute"],
    withExample(
      "Executes the Safe transaction of a plan with the owners' signatures; any account can pay for it",
      "safe execute plan.json --network base",
    ),
  )
    .addOption(proposalOption)
    .addOption(serviceOption)
    .addOption(nonceOption)
    .setAction(run(async () => (await import("../commands/safe-execute.ts")).safeExecute))
    .build(),
  safeTask(
    "verify",
    "Proves that the Safe executed a plan: the calls succeeded, exactly the planned events came out, and by which Safe transaction",
    "verify plan.json --network base",
  )
    .addOption(transactionHashOption)
    .setAction(run(async () => (await import("../commands/safe-verify.ts")).safeVerify))
    .build(),
  task(
    ["dstack", "safe", "list"],
    withExample(
      "Lists what is queued for the Safe of a plan or an app: the calls in words, who has signed, what can be executed",
      "safe list --app my-app --service https://api.safe.global/tx-service/base",
    ),
  )
    .addPositionalArgument(planFileArgument)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(serviceOption)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/safe-list.ts")).safeList))
    .build(),
];
