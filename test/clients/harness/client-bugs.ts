import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientName } from "./clients.ts";

/** A fault of a client's own, which the mock cannot answer away. */
export interface ClientBug {
  readonly clients: readonly ClientName[];
  readonly operations: readonly (string | RegExp)[];
  /** One sentence without a full stop. */
  readonly reason: string;
  /** The line of the client that shows it; checked against what is installed. */
  readonly evidence: { readonly file: string; readonly line: number; readonly text: string };
  /** How the failure reads, so that another one is not taken for it. */
  readonly shows: RegExp;
}

export const clientBugs: readonly ClientBug[] = [];

/** The named bug that explains this failure. */
export function findClientBug(client: ClientName, operation: string, failure: string): ClientBug | undefined {
  return clientBugs.find(
    ({ clients, operations, shows }) =>
      clients.includes(client) &&
      operations.some((wanted) => (typeof wanted === "string" ? wanted === operation : wanted.test(operation))) &&
      shows.test(failure),
  );
}

export function describeBug({ reason, evidence }: ClientBug): string {
  return `${reason} (${evidence.file}:${evidence.line})`;
}

/** Bugs whose line of evidence does not stand in the installed client. */
export function findWrongEvidence(folders: ReadonlyMap<ClientName, string>): string[] {
  return clientBugs.flatMap(({ clients, evidence: { file, line, text } }) =>
    clients.flatMap((client) => {
      const folder = folders.get(client);
      if (folder === undefined) return [];
      const found = readFileSync(join(folder, file), "utf8").split("\n")[line - 1] ?? "";
      return found.includes(text) ? [] : [`${client}: line ${line} of ${file} does not read "${text}"`];
    }),
  );
}
