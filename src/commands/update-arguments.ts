import { requireValidDockerCompose, type ValidateDockerComposeOptions } from "../core/compose-schema/validate.ts";
import { type EnvironmentVariable, isEnvironmentName, parseEnvironment } from "../core/environment.ts";
import { parseComposeHash, parseTransactionHash } from "../core/ids.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import type { UpdateRequest } from "../update/run.ts";
import { emptyEnvironment } from "../update/trust.ts";
import { parseAccept, readTextFile } from "./arguments.ts";
import type { DryRunArguments } from "./batch-plan.ts";
import { refuseWithRevision } from "./roll-back.ts";
import type { OutputArguments } from "./run.ts";
import type { SendingArguments } from "./sending.ts";

/** As Hardhat passes them: options that were not given are undefined. */
export interface UpdateArguments extends DryRunArguments, OutputArguments, SendingArguments {
  readonly cvm?: string | undefined;
  /** `0x…`, `app_…` or a name of the configuration. */
  readonly app?: string | undefined;
  readonly compose?: string | undefined;
  readonly preLaunchScript?: string | undefined;
  /** An earlier revision to go back to. */
  readonly revision?: string | undefined;
  /** NAME or NAME=VALUE, separated by commas. */
  readonly env?: string | undefined;
  readonly envFile?: string | undefined;
  readonly clearEnvironment?: boolean | undefined;
  readonly kms?: string | undefined;
  readonly allowDevice?: string | undefined;
  readonly noNewDevice?: boolean | undefined;
  readonly wait?: boolean | undefined;
  /** Prepares the update for the app's owners, and writes `plan`. */
  readonly prepare?: boolean | undefined;
  /** Finishes the update that was prepared for `plan`. */
  readonly commit?: boolean | undefined;
  readonly plan?: string | undefined;
  readonly acceptHashMismatch?: string | undefined;
  readonly abandonTransaction?: string | undefined;
  readonly accept?: string | undefined;
}

/** An update in one go, or one of the two parts of an update for owners that are not a key. */
export type UpdateMode = { readonly kind: "update" } | { readonly kind: "prepare" | "commit"; readonly plan: string };

/** The options that say what an update changes. The plan says it for `--commit`. */
const ofTheChange = [
  ...(["app", "cvm", "compose", "preLaunchScript", "revision", "env", "envFile", "clearEnvironment"] as const),
  ...(["allowDevice", "noNewDevice", "acceptHashMismatch", "dryRun"] as const),
];

/** @throws InvalidArgumentError */
export function chooseMode(args: UpdateArguments): UpdateMode {
  const { prepare = false, commit = false, plan } = args;
  if (prepare && commit) {
    throw new InvalidArgumentError("--prepare and --commit are the two parts of an update, one after the other.", {
      nextStep: "Give --prepare first. Give --commit when the owners have executed the plan.",
    });
  }
  if (!prepare && !commit) {
    if (plan === undefined) return { kind: "update" };
    throw new InvalidArgumentError("--plan needs --prepare or --commit.", {
      nextStep: "Give --prepare to write the plan of an update, and --commit to finish that update.",
    });
  }
  const option = prepare ? "--prepare" : "--commit";
  if (!plan) throw new InvalidArgumentError(`${option} needs --plan FILE.`, { nextStep });
  const foreign = prepare ? (["dryRun"] as const) : ofTheChange;
  const given = foreign.filter((name) => args[name] !== undefined && args[name] !== false);
  if (given.length > 0) {
    throw new InvalidArgumentError(`${option} does not take ${given.map(toFlag).join(" and ")}.`, {
      nextStep: prepare ? "Omit it: --prepare signs and sends nothing." : "Omit it: the plan says what is updated.",
      context: { given },
    });
  }
  return { kind: prepare ? "prepare" : "commit", plan };
}

function toFlag(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

const nextStep = "See npx hardhat dstack update --help.";

/**
 * Reads the arguments, the files they name, and the named variables.
 *
 * @param variables the environment of the process, if absent
 * @throws InvalidArgumentError, InvalidAppComposeError, InvalidEnvironmentError, InvalidHexError
 */
export async function parseUpdateArguments(
  args: UpdateArguments,
  variables: Readonly<Record<string, string | undefined>> = process.env,
): Promise<UpdateRequest> {
  const { cvm, compose, preLaunchScript, env, envFile, clearEnvironment = false } = args;
  const { acceptHashMismatch, abandonTransaction } = args;
  refuseWithRevision(args);
  if (!cvm) throw new InvalidArgumentError("--cvm is missing.", { nextStep });
  const fromFile = envFile === undefined ? undefined : parseEnvironment(await readTextFile(envFile));
  const named = env === undefined ? undefined : pickVariables(env, variables);
  const isGiven = fromFile !== undefined || named !== undefined;
  const environment = isGiven ? merge(fromFile ?? [], named ?? []) : undefined;
  if (clearEnvironment && isGiven) {
    throw new InvalidArgumentError("--clear-environment removes every variable, but an environment was also given.", {
      nextStep: "Give --env-file or -e, or --clear-environment alone.",
    });
  }
  if (environment?.length === 0) throw emptyEnvironment();
  const acceptUnknownComposeKeys = parseAccept("update", args.accept).has("unknown-compose-key");
  return {
    cvm,
    dockerCompose: compose === undefined ? undefined : await readCompose(compose, { acceptUnknownComposeKeys }),
    acceptUnknownComposeKeys,
    preLaunchScript: preLaunchScript === undefined ? undefined : await readTextFile(preLaunchScript),
    environment: clearEnvironment ? [] : environment,
    clearEnvironment,
    acceptHashMismatch: acceptHashMismatch === undefined ? undefined : parseComposeHash(acceptHashMismatch),
    abandonTransaction: abandonTransaction === undefined ? undefined : parseTransactionHash(abandonTransaction),
  };
}

/** Checks the file before the cloud is asked for anything. @throws InvalidAppComposeError, InvalidArgumentError */
async function readCompose(path: string, options: ValidateDockerComposeOptions): Promise<string> {
  const text = await readTextFile(path);
  await requireValidDockerCompose(text, options);
  return text;
}

/**
 * Reads `-e`: NAME or NAME=VALUE, separated by commas. An error never quotes a value. A part after a value could belong
 * to the value, so names alone come first.
 */
function pickVariables(
  list: string,
  variables: Readonly<Record<string, string | undefined>>,
): readonly EnvironmentVariable[] {
  const picked = new Map<string, string>();
  const parts = list.split(",").map((part) => /^\s*([^=]*?)\s*(?:=(.*))?$/s.exec(part) ?? []);
  for (const [index, [, key = "", given]] of parts.entries()) {
    if (given === undefined && parts.slice(0, index).some(([, , value]) => value !== undefined)) {
      throw invalidVariables("-e has a comma after a value, so the rest could be a name or a part of the value.");
    }
    if (!isEnvironmentName(key)) throw invalidVariables("-e has something that is neither NAME nor NAME=VALUE.");
    if (picked.has(key)) throw invalidVariables(`-e has ${key} twice.`);
    // Every object inherits a `constructor`, and so does process.env.
    const value = given ?? (Object.hasOwn(variables, key) ? variables[key] : undefined);
    if (value === undefined) {
      throw new InvalidArgumentError(`The variable ${key} is not set.`, {
        nextStep: "Export it, or remove it from -e.",
        context: { name: key },
      });
    }
    picked.set(key, value);
  }
  return Array.from(picked, ([key, value]) => ({ key, value }));
}

function invalidVariables(message: string): InvalidArgumentError {
  return new InvalidArgumentError(message, {
    nextStep:
      "Export the variables and give their names, for example -e TOKEN,API_URL. Or write them to a file for --env-file.",
  });
}

/**
 * A variable that is in the file and named as well keeps its place in the file, because the order of names is hashed.
 */
function merge(
  fromFile: readonly EnvironmentVariable[],
  named: readonly EnvironmentVariable[],
): readonly EnvironmentVariable[] {
  return [...new Map([...fromFile, ...named].map(({ key, value }) => [key, value]))].map(([key, value]) => ({
    key,
    value,
  }));
}
