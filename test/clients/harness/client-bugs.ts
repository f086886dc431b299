import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientName } from "./clients.ts";

/** A bug of a client, which no answer of the mock cloud can avoid. */
export interface ClientBug {
  readonly operations: readonly (string | RegExp)[];
  /** One sentence without a full stop. */
  readonly reason: string;
  /** The clients with this bug, and the line of each that shows it; checked against the installed package. */
  readonly evidence: Readonly<Partial<Record<ClientName, Evidence>>>;
  /** The text of the failure, so that another failure does not count as this bug. */
  readonly shows: RegExp;
}

interface Evidence {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export const clientBugs: readonly ClientBug[] = [
  {
    operations: ["getCvmPreLaunchScript of a CVM that has none"],
    reason: "an empty text is read as None, which its own check for a text then refuses",
    evidence: {
      "python-0.2.0": { file: "client.py", line: 573, text: "if not response.content:" },
      "python-0.1.1": { file: "client.py", line: 411, text: "if not response.content:" },
    },
    shows: /Input should be a valid string \[type=string_type, input_value=None/,
  },
  {
    operations: ["encrypt with the client's own function, decrypted by the guest"],
    reason: "encrypt_env_vars passes on the coroutine of an asynchronous function instead of the documented hex",
    evidence: {
      "python-0.2.0": { file: "utils.py", line: 29, text: "return _impl(*args, **kwargs)" },
      "python-0.1.1": { file: "utils.py", line: 29, text: "return _impl(*args, **kwargs)" },
    },
    shows: /must be hex/,
  },
  {
    operations: ["deployAppAuth"],
    reason: "deploy_app_auth imports a function that the dstack-sdk installed with it does not have",
    evidence: {
      "python-0.2.0": { file: "blockchains.py", line: 25, text: "from dstack_sdk import deploy_app_auth as _impl" },
      "python-0.1.1": { file: "blockchains.py", line: 25, text: "from dstack_sdk import deploy_app_auth as _impl" },
    },
    shows: /requires optional blockchain dependencies/,
  },
  {
    operations: [/^addComposeHash/],
    reason: "add_compose_hash imports a function that the dstack-sdk installed with it does not have",
    evidence: {
      "python-0.2.0": { file: "blockchains.py", line: 12, text: "from dstack_sdk import add_compose_hash as _impl" },
      "python-0.1.1": { file: "blockchains.py", line: 12, text: "from dstack_sdk import add_compose_hash as _impl" },
    },
    shows: /requires optional blockchain dependencies/,
  },
];

/** The bug that explains this failure, in the words of the table. */
export function findClientBug(client: ClientName, operation: string, failure: string): string | undefined {
  for (const { operations, reason, evidence, shows } of clientBugs) {
    const line = evidence[client];
    const isHere = operations.some((wanted) =>
      typeof wanted === "string" ? wanted === operation : wanted.test(operation),
    );
    if (line && isHere && shows.test(failure)) return `${reason} (${line.file}:${line.line})`;
  }
  return undefined;
}

/** Bugs whose line of evidence is not in the installed client. */
export function findWrongEvidence(folders: ReadonlyMap<ClientName, string>): string[] {
  return clientBugs.flatMap(({ evidence }) =>
    [...folders].flatMap(([client, folder]) => {
      const wanted = evidence[client];
      if (wanted === undefined) return [];
      const found = readFileSync(join(folder, wanted.file), "utf8").split("\n")[wanted.line - 1] ?? "";
      if (found.includes(wanted.text)) return [];
      return [`${client}: line ${wanted.line} of ${wanted.file} does not read "${wanted.text}"`];
    }),
  );
}
