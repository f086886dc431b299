// Writes the table and the list of client bugs into docs/conformance.md, between two markers. With --check it only
// compares.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ClientName, clientNames, clientTitles, isRequestShape } from "../test/clients/harness/clients.ts";
import type { Expectation, ExpectedCell } from "../test/clients/harness/outcome.ts";
import { countCells, type Totals } from "../test/clients/harness/totals.ts";
import { operationGroups } from "../test/clients/operations/index.ts";
import { root } from "./support/paths.ts";

const path = join(root, "docs", "conformance.md");
const expectation: Expectation = JSON.parse(readFileSync(join(root, "test", "clients", "expected.json"), "utf8"));
const [begin, end] = ["<!-- generated: the table -->", "<!-- end of the table -->"];

const text = readFileSync(path, "utf8");
const [head = "", rest = ""] = text.split(begin);
const tail = rest.split(end)[1] ?? "";
const wanted = `${head}${begin}\n\n${totals()}\n${tables()}\n${bugs()}\n${end}${tail}`;
if (!process.argv.includes("--check")) writeFileSync(path, wanted);
else if (text !== wanted) {
  console.error("docs/conformance.md differs from test/clients/expected.json. Run `npm run generate`.");
  process.exitCode = 1;
}

function totals(): string {
  const cells = clientNames.flatMap((client) =>
    Object.values(expectation).flatMap((row) => {
      const cell = row[client];
      if (cell === undefined) return [];
      return [{ client, outcome: cell === "pass" ? cell : cell.outcome }];
    }),
  );
  const rowOf = (client: ClientName) => {
    const { clients, requestShapes } = countCells(cells.filter((cell) => cell.client === client));
    return [`\`${client}\``, clientTitles[client], ...counts(isRequestShape(client) ? requestShapes : clients)];
  };
  return table([
    ["Column", "", "pass", "bug", "–"],
    ...clientNames.filter((name) => !isRequestShape(name)).map(rowOf),
    ["**all of these**", "the official clients", ...counts(countCells(cells).clients)],
    ...clientNames.filter(isRequestShape).map(rowOf),
  ]);
}

function counts(found: Totals): string[] {
  return [found.pass, found["client bug"], found["not in this client"]].map(String);
}

function table([columns = [], ...rows]: readonly (readonly string[])[]): string {
  return `${[columns, columns.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")}\n`;
}

function tables(): string {
  const columns = ["", ...clientNames.map((name) => `\`${name}\`${isRequestShape(name) ? " (no client)" : ""}`)];
  return operationGroups
    .filter(({ operations }) => operations.length > 0)
    .map(({ title, operations }) => {
      const rows = operations.map(({ name }) => {
        const row = expectation[name] ?? {};
        return [name, ...clientNames.map((client) => mark(row[client]))];
      });
      return `### ${title}\n\n${table([columns, ...rows])}`;
    })
    .join("\n");
}

function mark(cell: ExpectedCell | undefined): string {
  if (cell === undefined) return "";
  if (cell === "pass") return "pass";
  return cell.outcome === "client bug" ? "**bug**" : "–";
}

function bugs(): string {
  const lines = new Map<string, Set<string>>();
  for (const row of Object.values(expectation)) {
    for (const client of clientNames) {
      const cell = row[client];
      if (cell === undefined || cell === "pass" || cell.outcome !== "client bug") continue;
      lines.set(cell.reason, (lines.get(cell.reason) ?? new Set()).add(clientTitles[client]));
    }
  }
  const items = [...lines].map(([reason, clients]) => `- ${[...clients].join(", ")}: ${reason}.`);
  return `### Bugs of the clients themselves\n\n${items.join("\n")}\n`;
}
