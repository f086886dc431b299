import { styleText } from "node:util";
import { type ClientName, clientTitles, isRequestShape } from "./clients.ts";
import type { OperationGroup } from "./operation.ts";
import type { Cell, Difference, Outcome } from "./outcome.ts";

const marks: Readonly<Record<Outcome, string>> = {
  pass: "pass",
  fail: "FAIL",
  "client bug": "bug",
  "not in this client": "–",
};

/** The table for people: a row per operation, a column per client, then those of request shapes. */
export function formatTable(groups: readonly OperationGroup[], cells: readonly Cell[]): string {
  const clients = [...new Set(cells.map(({ client }) => client))];
  const outcomes = new Map(cells.map(({ operation, client, outcome }) => [`${operation}\n${client}`, outcome]));
  const names = groups.flatMap(({ operations }) => operations.map(({ name }) => name));
  const width = Math.max(...names.map((name) => name.length), 0);
  const lines = [`${" ".repeat(width + 4)}${inColumns(clients, clients)}`];
  for (const { title, operations } of groups) {
    const rows = operations.filter(({ name }) => clients.some((client) => outcomes.has(`${name}\n${client}`)));
    if (rows.length > 0) lines.push("", title);
    for (const { name } of rows) {
      const row = clients.map((client) => mark(outcomes.get(`${name}\n${client}`), client.length));
      lines.push(`  ${name.padEnd(width)}  ${inColumns(clients, row)}`);
    }
  }
  return lines.join("\n");
}

/** Columns that are not clients follow a vertical bar. */
function inColumns(clients: readonly ClientName[], texts: readonly string[]): string {
  const [real, shapes] = [false, true].map((wanted) =>
    texts.filter((_, index) => clients[index] !== undefined && isRequestShape(clients[index]) === wanted).join("  "),
  );
  return [real, shapes].filter(Boolean).join(" | ");
}

function mark(outcome: Outcome | undefined, width: number): string {
  const text = (outcome === undefined ? "" : marks[outcome]).padEnd(width);
  if (outcome === "fail") return styleText("red", text);
  return outcome === "client bug" ? styleText("yellow", text) : text;
}

export function formatDifferences(differences: readonly Difference[]): string {
  return differences
    .map(({ operation, client, expected, found }) =>
      [`${operation} · ${client}`, `  expected: ${expected}`, `  found:    ${indent(found)}`].join("\n"),
    )
    .join("\n");
}

/** Each bug once, with the columns in which it appears. */
export function formatBugs(cells: readonly Cell[]): string {
  const clientsOf = new Map<string, Set<string>>();
  for (const { outcome, reason = "", client } of cells) {
    if (outcome !== "client bug") continue;
    clientsOf.set(reason, (clientsOf.get(reason) ?? new Set()).add(clientTitles[client]));
  }
  return [...clientsOf].map(([reason, clients]) => `${[...clients].join(", ")}: ${reason}.`).join("\n");
}

function indent(text: string): string {
  return text.replaceAll("\n", "\n            ");
}
