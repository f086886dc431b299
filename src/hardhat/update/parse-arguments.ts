import { checkDockerCompose } from "../../core/docker-compose.ts";
import { type EnvironmentVariable, isEnvironmentName, parseEnvironment } from "../../core/environment.ts";
import { parseComposeHash, parseTransactionHash } from "../../core/ids.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import type { UpdateRequest } from "../../update/run.ts";
import { emptyEnvironment } from "../../update/trust.ts";
import type { OutputArguments } from "../connect/run-task.ts";
import { readTextFile } from "../read-file.ts";

/** As Hardhat hands them over: what was not given is undefined. */
export interface UpdateArguments extends OutputArguments {
  readonly cvm?: string | undefined;
  /** `0x…`, `app_…` or a name of the configuration. */
  readonly app?: string | undefined;
  readonly compose?: string | undefined;
  readonly preLaunchScript?: string | undefined;
  /** Names of variables, separated by commas. */
  readonly env?: string | undefined;
  readonly envFile?: string | undefined;
  readonly clearEnvironment?: boolean | undefined;
  readonly kms?: string | undefined;
  readonly allowDevice?: string | undefined;
  readonly noNewDevice?: boolean | undefined;
  readonly wait?: boolean | undefined;
  readonly journal?: string | undefined;
  readonly acceptHashMismatch?: string | undefined;
  readonly abandonTransaction?: string | undefined;
  readonly accept?: string | undefined;
}

const nextStep = "See npx hardhat dstack update --help.";

/**
 * Reads the arguments, the files they name and, of the process's variables, those they name.
 *
 * @throws InvalidArgumentError, InvalidAppComposeError, InvalidEnvironmentError, InvalidHexError
 */
export async function parseUpdateArguments(
  args: UpdateArguments,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<UpdateRequest> {
  const { cvm, compose, preLaunchScript, env, envFile, clearEnvironment = false } = args;
  const { acceptHashMismatch, abandonTransaction } = args;
  if (!cvm) throw new InvalidArgumentError("--cvm is missing.", { nextStep });
  const fromFile = envFile === undefined ? undefined : parseEnvironment(await readTextFile(envFile));
  const named = env === undefined ? undefined : pickVariables(env, variables);
  const isGiven = fromFile !== undefined || named !== undefined;
  const environment = isGiven ? merge(fromFile ?? [], named ?? []) : undefined;
  if (clearEnvironment && isGiven) {
    throw new InvalidArgumentError("--clear-environment takes every variable away, and an environment is given too.", {
      nextStep: "Give --env-file or -e, or --clear-environment alone.",
    });
  }
  if (environment?.length === 0) throw emptyEnvironment();
  return {
    cvm,
    dockerCompose: compose === undefined ? undefined : await readCompose(compose),
    preLaunchScript: preLaunchScript === undefined ? undefined : await readTextFile(preLaunchScript),
    environment: clearEnvironment ? [] : environment,
    clearEnvironment,
    acceptHashMismatch: acceptHashMismatch === undefined ? undefined : parseComposeHash(acceptHashMismatch),
    abandonTransaction: abandonTransaction === undefined ? undefined : parseTransactionHash(abandonTransaction),
  };
}

/** Checked before the cloud is asked for anything. @throws InvalidAppComposeError, InvalidArgumentError */
async function readCompose(path: string): Promise<string> {
  const text = await readTextFile(path);
  checkDockerCompose(text);
  return text;
}

/** Values stay out of the command line, where every process of the machine and the shell's history can read them. */
function pickVariables(
  names: string,
  variables: Readonly<Record<string, string | undefined>>,
): readonly EnvironmentVariable[] {
  return names.split(",").map((raw) => {
    const key = raw.trim();
    if (!isEnvironmentName(key)) {
      throw new InvalidArgumentError("-e takes names of variables, separated by commas, without their values.", {
        nextStep: "Export the variables and name them, as in -e TOKEN,API_URL; or write them to a file for --env-file.",
      });
    }
    // Every object has a `constructor`, process.env too.
    const value = Object.hasOwn(variables, key) ? variables[key] : undefined;
    if (value !== undefined) return { key, value };
    throw new InvalidArgumentError(`The variable ${key} is not set.`, {
      nextStep: "Export it, or leave it out of -e.",
      context: { name: key },
    });
  });
}

/** A variable that is named as well keeps its place in the file: the order of names is hashed. */
function merge(
  fromFile: readonly EnvironmentVariable[],
  named: readonly EnvironmentVariable[],
): readonly EnvironmentVariable[] {
  return [...new Map([...fromFile, ...named].map(({ key, value }) => [key, value]))].map(([key, value]) => ({
    key,
    value,
  }));
}
