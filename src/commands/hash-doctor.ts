import { readAllowlist } from "../chain/read-app.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { getComposeFile } from "../cloud/get-compose-file.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import type { AppCompose } from "../core/app-compose.ts";
import {
  type AppDocument,
  type BackendDocument,
  examineHashes,
  type HashExamination,
  hashesToAsk,
  readAppDocument,
} from "../core/examine-hashes.ts";
import { type Generation, type JudgedContract, requireNoKeyEpochs } from "../core/generation.ts";
import { type ComposeHash, nameOfCvm, parseComposeHash } from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import type { Output } from "../output/output.ts";
import { parseAccept, readTextFile } from "./arguments.ts";
import {
  type AppArguments,
  type ConnectedApp,
  connectApp,
  connectCloud,
  listCvms,
  requireCloud,
} from "./connect-app.ts";
import { readJudgedContracts, reportGenerations, showCaveat } from "./generations.ts";
import type { Command, CommandHost } from "./host.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskOutcome } from "./run.ts";

export interface HashArguments extends AppArguments, OutputArguments {
  readonly file: string;
  readonly name?: string | undefined;
  readonly preLaunchScript?: string | undefined;
  readonly hash?: string | undefined;
  readonly accept?: string | undefined;
}

export const hashDoctor: Command<HashArguments> = (args, host) => runTask(args, () => examine(args, host));

async function examine(args: HashArguments, host: CommandHost): Promise<TaskOutcome> {
  if (args.file === "") {
    throw new InvalidArgumentError("No file was given.", { nextStep: "See npx hardhat dstack hash --help." });
  }
  const accepted = parseAccept("hash", args.accept);
  const given = args.hash === undefined ? undefined : parseComposeHash(args.hash);
  const text = await readTextFile(args.file);
  const preLaunchScript = args.preLaunchScript && (await readTextFile(args.preLaunchScript));
  const { document } = readAppDocument({ text, preLaunchScript, name: args.name }); // before asking the cloud
  const composeProblems = await findComposeProblems(document);
  const target = await connectTarget(args, host);
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
      composeProblems,
      comparisons: examined.map(({ examination, generation: _, ...rest }) => ({ ...rest, ...examination })),
    },
    show: (output) => {
      showCaveat(output, contracts);
      for (const one of examined) show(output, one);
      for (const problem of composeProblems) output.line(`Warning: Docker would refuse the compose file: ${problem}.`);
    },
    exitCode: isMatch ? 0 : negativeAnswer,
  };
}

/** A running CVM can have keys that are newer than the known specification, so a problem is only shown. */
async function findComposeProblems({ docker_compose_file: text, runner }: AppCompose): Promise<readonly string[]> {
  if (!text || runner === "bash") return [];
  const { validateDockerCompose } = await import("../core/compose-schema/validate.ts");
  return (await validateDockerCompose(text)).map(({ message }) => cleanText(message.replace(/\.$/, "")));
}

/** Empty if no contract was asked. */
async function contractsOf(
  target: HashTarget | undefined,
  examined: readonly ExaminedFile[],
): Promise<readonly JudgedContract[]> {
  const { generation } = examined[0] ?? {};
  return target?.app === undefined || generation === undefined ? [] : readJudgedContracts(target.app, generation);
}

/** Undefined if neither app nor CVM was given. The command then needs no network. */
async function connectTarget({ app: name, cvm }: HashArguments, host: CommandHost): Promise<HashTarget | undefined> {
  if (name === undefined && cvm === undefined) return undefined;
  const cloud = await connectCloud(host);
  if (name === undefined && cvm !== undefined) {
    const { kmsContractAddress } = await getCvm(requireCloud(cloud, `for ${cvm}`), { cvm });
    if (kmsContractAddress === undefined) return { app: undefined, cloud, cvm };
  }
  return { app: await connectApp({ app: name, cvm }, host), cloud, cvm };
}

function show(output: Output, { kind, cvm, cvmId, examination }: ExaminedFile): void {
  const { hashes, differences, findings } = examination;
  const isCompared = cvm !== undefined && cvmId !== undefined;
  output.title(isCompared ? `${titles[kind]}, compared with ${nameOfCvm({ name: cvm, id: cvmId })}` : titles[kind]);
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
  output.table({ head: columns, rows });
  if (differences.length > 0) output.line("");
  for (const { field, before, after, firstDifferingLine: line } of differences) {
    output.line(
      line === undefined
        ? `${field}: the CVM has ${quote(before)}, the file ${quote(after)}`
        : `${field}, line ${line.number}: the CVM has ${quote(line.before)}, the file ${quote(line.after)}`,
    );
  }
  if (findings.length > 0) output.line("");
  for (const { isGood, text } of findings) output.line(`${isGood ? "ok   " : "wrong"}  ${text}`);
}

const titles: Readonly<Record<ExaminedFile["kind"], string>> = {
  "app-compose": "The app-compose manifest",
  changed: "The docker compose file, in the CVM's manifest",
  built: "The docker compose file, in a manifest with the platform's defaults",
};

function isAsked(hashes: ExaminedFile["examination"]["hashes"]): boolean {
  return hashes.some(({ isAllowed }) => isAllowed !== undefined);
}

/** Shortens long values; --json prints them in full. */
function quote(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}

export interface ExamineFileParameters {
  readonly text: string;
  readonly preLaunchScript: string | undefined;
  readonly name: string | undefined;
  readonly given: ComposeHash | undefined;
  /** What to compare with; undefined computes the hash only. */
  readonly target: HashTarget | undefined;
}

export interface HashTarget {
  /** Undefined for a CVM whose KMS keeps its policy off chain. */
  readonly app: ConnectedApp | undefined;
  readonly cloud: CloudClient | undefined;
  /** The one CVM to compare with. @default all CVMs of the app that the cloud shows */
  readonly cvm: string | undefined;
}

export interface ExaminedFile {
  readonly kind: AppDocument["kind"];
  /** The CVM it was compared with; undefined if no CVM was asked. */
  readonly cvm: string | undefined;
  readonly cvmId: string | undefined;
  /** Generation of the app's contract; undefined if no contract was asked. */
  readonly generation: Generation | undefined;
  readonly examination: HashExamination;
}

/**
 * Compares a file with every CVM of an app that the cloud shows, and with the app's contract. There is one examination
 * per CVM, because a docker compose file gives a different manifest in each.
 *
 * @throws InvalidAppComposeError, CloudError, ChainError
 */
export async function examineFile(parameters: ExamineFileParameters): Promise<readonly ExaminedFile[]> {
  const { target, given } = parameters;
  const app = target?.app;
  const backends = target === undefined ? [] : await readBackends(target);
  return Promise.all(
    (backends.length === 0 ? [undefined] : backends).map(async (backend) => {
      const document = readAppDocument({ ...parameters, current: backend?.document });
      const inputs = { document, backend, given };
      const allowlist = app && (await readAllowed(app, hashesToAsk(inputs)));
      const examination = examineHashes({ ...inputs, isAllowed: allowlist?.isAllowed });
      const { cvm, cvmId } = backend ?? {};
      return { kind: document.kind, cvm, cvmId, generation: allowlist?.generation, examination };
    }),
  );
}

interface Backend extends BackendDocument {
  readonly cvmId: string;
}

async function readBackends({ app, cloud, cvm }: HashTarget): Promise<readonly Backend[]> {
  if (cloud === undefined) return [];
  const backends = (await findCvms(cloud, app, cvm)).map(async ({ id, name, composeHash }): Promise<Backend[]> => {
    if (composeHash === undefined) return [];
    return [{ cvm: name, cvmId: id, composeHash, document: await getComposeFile(cloud, { cvm: id }) }];
  });
  return (await Promise.all(backends)).flat();
}

/** If the app's CVMs belong to another workspace, only the contract is used. */
async function findCvms(cloud: CloudClient, app: ConnectedApp | undefined, cvm: string | undefined) {
  if (cvm !== undefined) return [await getCvm(cloud, { cvm })];
  return app === undefined ? [] : listCvms(cloud, app.appId);
}

async function readAllowed({ client, appId }: ConnectedApp, composeHashes: readonly ComposeHash[]) {
  const answers = await Promise.all(
    composeHashes.map(async (composeHash) => ({
      composeHash,
      ...(await readAllowlist(client, { appId, composeHash })),
    })),
  );
  const allowed = new Set(answers.filter((answer) => answer.composeHashAllowed).map(({ composeHash }) => composeHash));
  return { isAllowed: (hash: ComposeHash) => allowed.has(hash), generation: answers[0]?.generation };
}
