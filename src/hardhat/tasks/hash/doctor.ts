import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { getCvm } from "../../../cloud/get-cvm.ts";
import { readAppDocument } from "../../../core/examine-hashes.ts";
import { type JudgedContract, requireNoKeyEpochs } from "../../../core/generation.ts";
import { nameOfCvm, parseComposeHash } from "../../../core/ids.ts";
import { parseAccepted } from "../../../core/lint/lint.ts";
import { InvalidArgumentError } from "../../../errors/index.ts";
import type { Paper } from "../../../report/output.ts";
import { connectApp } from "../../connect/connect-app.ts";
import { connectCloud, requireCloud } from "../../connect/connect-cloud.ts";
import { gatherContracts, reportGenerations, showCaveat } from "../../connect/generations.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskOutcome } from "../../connect/run-task.ts";
import { type ExaminedFile, examineFile, type HashTarget } from "../../hash/examine-file.ts";
import { readTextFile } from "../../read-file.ts";

export interface HashArguments extends AppArguments, OutputArguments {
  readonly file: string;
  readonly name?: string | undefined;
  readonly preLaunchScript?: string | undefined;
  readonly hash?: string | undefined;
  readonly accept?: string | undefined;
}

const action: NewTaskActionFunction<HashArguments> = (args, hre) => runTask(args, () => examine(args, hre));
export default action;

async function examine(args: HashArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  if (args.file === "") {
    throw new InvalidArgumentError("No file was named.", { nextStep: "See npx hardhat dstack hash --help." });
  }
  const accepted = parseAccepted(args.accept);
  const given = args.hash === undefined ? undefined : parseComposeHash(args.hash);
  const text = await readTextFile(args.file);
  const preLaunchScript = args.preLaunchScript && (await readTextFile(args.preLaunchScript));
  readAppDocument({ text, preLaunchScript, name: args.name }); // a file that is wrong is told so before the cloud is asked
  const target = await connectTarget(args, hre);
  const examined = await examineFile({ text, preLaunchScript, name: args.name, given, target });
  const contracts = await contractsOf(target, examined);
  requireNoKeyEpochs(contracts, accepted.has("key-epochs"));
  const isMatch = examined.every(({ examination }) => examination.isMatch);
  return {
    result: {
      file: args.file,
      appId: target?.app?.appId,
      isMatch,
      ...reportGenerations(contracts),
      comparisons: examined.map(({ examination, generation: _, ...rest }) => ({ ...rest, ...examination })),
    },
    show: (paper) => {
      showCaveat(paper, contracts);
      for (const one of examined) show(paper, one);
    },
    exitCode: isMatch ? 0 : negativeAnswer,
  };
}

/** None where no contract was asked. */
async function contractsOf(
  target: HashTarget | undefined,
  examined: readonly ExaminedFile[],
): Promise<readonly JudgedContract[]> {
  const { generation } = examined[0] ?? {};
  return target?.app === undefined || generation === undefined ? [] : gatherContracts(target.app, generation);
}

/** Undefined where neither app nor CVM was named: then no network is needed. */
async function connectTarget(
  { app: name, cvm }: HashArguments,
  hre: HardhatRuntimeEnvironment,
): Promise<HashTarget | undefined> {
  if (name === undefined && cvm === undefined) return undefined;
  const cloud = await connectCloud(hre);
  if (name === undefined && cvm !== undefined) {
    const { kmsContractAddress } = await getCvm(requireCloud(cloud, `about ${cvm}`), { cvm });
    if (kmsContractAddress === undefined) return { app: undefined, cloud, cvm };
  }
  return { app: await connectApp({ app: name, cvm }, hre), cloud, cvm };
}

function show(paper: Paper, { kind, cvm, cvmId, examination }: ExaminedFile): void {
  const { hashes, differences, findings } = examination;
  const isCompared = cvm !== undefined && cvmId !== undefined;
  paper.title(isCompared ? `${titles[kind]}, compared with ${nameOfCvm({ name: cvm, id: cvmId })}` : titles[kind]);
  const columns = ["compose hash", ...(cvm === undefined ? [] : ["CVM"]), ...(isAsked(hashes) ? ["app"] : []), "forms"];
  const rows = [...new Set(hashes.map(({ hash }) => hash))].map((hash) => {
    const forms = hashes.filter((entry) => entry.hash === hash);
    return [
      hash,
      ...(cvm === undefined ? [] : [forms.some(({ isInForce }) => isInForce) ? "in force" : ""]),
      ...(isAsked(hashes) ? [forms.some(({ isAllowed }) => isAllowed) ? "allowed" : "not allowed"] : []),
      [...new Set(forms.map(({ form }) => form))].join(", "),
    ];
  });
  paper.table({ head: columns, rows });
  if (differences.length > 0) paper.line("");
  for (const { field, before, after, firstDifferingLine: line } of differences) {
    paper.line(
      line === undefined
        ? `${field}: the CVM has ${quote(before)}, the file ${quote(after)}`
        : `${field}, line ${line.number}: the CVM has ${quote(line.before)}, the file ${quote(line.after)}`,
    );
  }
  if (findings.length > 0) paper.line("");
  for (const { isGood, text } of findings) paper.line(`${isGood ? "ok   " : "wrong"}  ${text}`);
}

const titles: Readonly<Record<ExaminedFile["kind"], string>> = {
  "app-compose": "The app-compose manifest",
  changed: "The docker compose file, in the CVM's manifest",
  built: "The docker compose file, in a manifest with the platform's defaults",
};

function isAsked(hashes: ExaminedFile["examination"]["hashes"]): boolean {
  return hashes.some(({ isAllowed }) => isAllowed !== undefined);
}

/** Long values are cut: whole ones are in --json. */
function quote(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}
