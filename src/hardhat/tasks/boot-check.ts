import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { type BootRule, readBootRules } from "../../chain/read-boot.ts";
import { type JudgedContract, requireNoKeyEpochs } from "../../core/generation.ts";
import { parseAccepted } from "../../core/lint/lint.ts";
import { type BootArguments, gatherBootInfo } from "../boot-check/gather-boot-info.ts";
import { connectApp } from "../connect/connect-app.ts";
import { findKms } from "../connect/find-kms.ts";
import { reportGenerations, showCaveat } from "../connect/generations.ts";
import type { AppArguments } from "../connect/resolve-app.ts";
import type { KmsArguments } from "../connect/resolve-kms.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskOutcome } from "../connect/run-task.ts";

export interface BootCheckArguments extends AppArguments, KmsArguments, BootArguments, OutputArguments {
  readonly accept?: string | undefined;
}

const action: NewTaskActionFunction<BootCheckArguments> = (args, hre) => runTask(args, () => check(args, hre));
export default action;

async function check(args: BootCheckArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const isAccepted = parseAccepted(args.accept).has("key-epochs");
  const app = await connectApp(args, hre);
  const { kms, generation } = await findKms(args, app);
  requireNoKeyEpochs([{ role: "KMS", address: kms, generation }], isAccepted);
  const bootInfo = await gatherBootInfo(args, app);
  const { blockNumber, generations, rules, verdict } = await readBootRules(app.client, { kms, bootInfo });
  const contracts: JudgedContract[] = [{ role: "KMS", address: kms, generation: generations.kms }];
  if (generations.app !== undefined)
    contracts.unshift({ role: "app", address: app.appId, generation: generations.app });
  requireNoKeyEpochs(contracts, isAccepted);
  const { isAllowed, reason, reverts } = verdict;
  return {
    result: {
      appId: app.appId,
      kms,
      chainId: app.chainId,
      blockNumber,
      ...reportGenerations(contracts),
      wouldBoot: isAllowed,
      reason,
      reverts,
      rules,
      bootInfo,
    },
    show: (paper) => {
      showCaveat(paper, contracts);
      const rows = rules.map(({ rule, of, isMet, detail }) => [of, rule, wordFor(isMet), detail]);
      paper.table({ head: ["of", "rule", "verdict", "detail"], rows });
      paper.line(
        `\n${isAllowed ? "It would boot" : "IT WOULD NOT BOOT"}: the KMS ${kms} answers ${quote(isAllowed, reason)}.`,
      );
      if (isAllowed !== rules.every(({ isMet }) => isMet === true))
        paper.line("The rules above do not explain this answer: the app's contract has others. The answer counts.");
    },
    exitCode: isAllowed ? 0 : negativeAnswer,
  };
}

function wordFor(isMet: BootRule["isMet"]): string {
  if (isMet === undefined) return "unknown";
  return isMet ? "met" : "NOT MET";
}

function quote(isAllowed: boolean, reason: string): string {
  return isAllowed ? "yes" : `no: ${reason}`;
}
