import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { parseComposeHash, parseTransactionHash } from "../../src/core/ids.ts";
import { parseEnvironment } from "../../src/core/parse-environment.ts";
import { InvalidArgumentError } from "../../src/errors/index.ts";
import type { UpdateRequest } from "../../src/update/update-run.ts";

export interface UpdateArguments {
  readonly request: UpdateRequest;
  /** Of hardhat.config.ts. */
  readonly network: string;
  readonly journal: string;
  readonly json: boolean;
}

const usage =
  "Usage: npm run update -- --cvm NAME [--compose FILE] [--env-file FILE] [--pre-launch-script FILE] " +
  "[--network base] [--journal FILE] [--accept-hash-mismatch HASH] [--abandon-transaction HASH] [--json]";

/** Reads the command line and the files it names. @throws InvalidArgumentError, InvalidEnvironmentError, InvalidHexError */
export async function parseUpdateArguments(argv: readonly string[]): Promise<UpdateArguments> {
  const { cvm, ...values } = parseOptions(argv);
  if (cvm === undefined) throw new InvalidArgumentError("--cvm is missing.", { nextStep: usage });
  const dockerCompose = await read(values.compose);
  const environment = await read(values["env-file"]);
  const preLaunchScript = await read(values["pre-launch-script"]);
  const accepted = values["accept-hash-mismatch"];
  const abandoned = values["abandon-transaction"];
  return {
    request: {
      cvm,
      dockerCompose,
      preLaunchScript,
      environment: environment === undefined ? undefined : parseEnvironment(environment),
      acceptHashMismatch: accepted === undefined ? undefined : parseComposeHash(accepted),
      abandonTransaction: abandoned === undefined ? undefined : parseTransactionHash(abandoned),
    },
    network: values.network,
    journal: values.journal,
    json: values.json,
  };
}

function parseOptions(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        cvm: { type: "string" },
        compose: { type: "string" },
        "env-file": { type: "string" },
        "pre-launch-script": { type: "string" },
        "accept-hash-mismatch": { type: "string" },
        "abandon-transaction": { type: "string" },
        network: { type: "string", default: "base" },
        journal: { type: "string", default: ".dstack/journal.jsonl" },
        json: { type: "boolean", default: false },
      },
    }).values;
  } catch (cause) {
    throw new InvalidArgumentError(cause instanceof Error ? cause.message : String(cause), { nextStep: usage, cause });
  }
}

async function read(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new InvalidArgumentError(`${path} cannot be read.`, { nextStep: "Check the path.", cause });
  }
}
