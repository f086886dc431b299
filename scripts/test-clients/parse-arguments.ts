import { parseArgs } from "node:util";
import { InvalidArgumentError } from "../../src/errors/index.ts";
import { type ClientName, clientNames } from "../../test/clients/harness/clients.ts";
import type { OperationGroup } from "../../test/clients/harness/operation.ts";
import { operationGroups } from "../../test/clients/operations/index.ts";

export interface ClientsArguments {
  /** The rows to run. */
  readonly groups: readonly OperationGroup[];
  readonly clients: readonly ClientName[];
  /** All rows and all clients run. */
  readonly isWhole: boolean;
  readonly isUpdate: boolean;
  readonly isHelp: boolean;
}

export const clientsUsage = `Usage: npm run test:clients -- [--grep PATTERN] [--client NAME]… [--update]

Runs the official clients of Phala Cloud against the mock cloud and compares every
cell of the table client × operation with test/clients/expected.json.

  --grep PATTERN  only rows whose name matches this regular expression, in any case
  --client NAME   only this column; may be repeated: ${clientNames.join(", ")}
  --update        write the cells that ran into test/clients/expected.json
  --help          this text

Example: npm run test:clients -- --grep "deploy --cvm-id" --client cli`;

/** @throws InvalidArgumentError */
export function parseClientsArguments(argv: readonly string[]): ClientsArguments {
  const { grep, client, update, help } = parseOptions(argv);
  return {
    groups: chooseGroups(grep ?? ""),
    clients: client === undefined ? clientNames : clientNames.filter((name) => client.map(parseName).includes(name)),
    isWhole: grep === undefined && client === undefined,
    isUpdate: update,
    isHelp: help,
  };
}

function parseOptions(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        grep: { type: "string" },
        client: { type: "string", multiple: true },
        update: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (cause) {
    throw wrong(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function chooseGroups(pattern: string): readonly OperationGroup[] {
  const wanted = parsePattern(pattern);
  const groups = operationGroups.map(({ title, operations }) => ({
    title,
    operations: operations.filter(({ name }) => wanted.test(name)),
  }));
  if (groups.every(({ operations }) => operations.length === 0)) throw wrong(`No row's name matches "${pattern}".`);
  return groups;
}

function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text, "i");
  } catch (cause) {
    throw wrong(`"${text}" is not a regular expression.`, cause);
  }
}

function parseName(text: string): ClientName {
  const name = clientNames.find((known) => known === text);
  if (name === undefined) throw wrong(`There is no client "${text}", only ${clientNames.join(", ")}.`);
  return name;
}

function wrong(message: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(message, { nextStep: "npm run test:clients -- --help shows all options.", cause });
}
