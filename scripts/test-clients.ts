// Runs the real clients of Phala Cloud against the mock cloud: `npm run test:clients`. Every cell of the table client ×
// operation is compared with test/clients/expected.json; --update writes that file anew, --grep runs some rows only.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkOpenApi } from "../test/clients/harness/check-openapi.ts";
import { findWrongEvidence } from "../test/clients/harness/client-bugs.ts";
import { clientNames, installClients } from "../test/clients/harness/clients.ts";
import { type Cell, compareCells, type Expectation, expectationOf } from "../test/clients/harness/outcome.ts";
import { formatBugs, formatDifferences, formatTable } from "../test/clients/harness/report.ts";
import { runCells } from "../test/clients/harness/run-cells.ts";
import { operationGroups } from "../test/clients/operations/index.ts";
import { root } from "./support/paths.ts";
import { sendTally } from "./test/send-tally.ts";

const { values } = parseArgs({
  options: {
    grep: { type: "string" },
    client: { type: "string", multiple: true },
    update: { type: "boolean", default: false },
  },
});
const ci = Boolean(process.env.CI) && process.env.CI !== "false";
const expectationFile = join(root, "test", "clients", "expected.json");
const reportFile = join(root, "cache", "clients", "report.json");

const { installed, leftOut, folders, python } = await installClients();
for (const [client, reason] of leftOut) console.log(`${client} is left out: ${reason}.`);
const chosen = new Map([...installed].filter(([name]) => values.client?.includes(name) ?? true));
const wanted = new RegExp(values.grep ?? "", "i");
const groups = operationGroups.map(({ title, operations }) => ({
  title,
  operations: operations.filter(({ name }) => wanted.test(name)),
}));
const operations = groups.flatMap((group) => group.operations);
const isWhole = values.grep === undefined && values.client === undefined;

const unordered = await runCells({
  operations,
  installed: chosen,
  lanes: 4,
  onCell: ({ outcome }) =>
    process.stdout.write({ pass: ".", fail: "F", "client bug": "b", "not in this client": "" }[outcome]),
});
const cells = inOrder(unordered);
console.log(`\n\n${formatTable(groups, cells)}\n`);

mkdirSync(join(root, "cache", "clients"), { recursive: true });
writeFileSync(reportFile, `${JSON.stringify({ leftOut: Object.fromEntries(leftOut), cells }, null, 2)}\n`);
if (values.update) {
  const written = isWhole ? {} : readExpectation();
  const merged = mergeExpectations(written, expectationOf(cells));
  writeFileSync(expectationFile, `${JSON.stringify(merged, null, 2)}\n`);
}

const differences = compareCells(readExpectation(), cells, { isWhole, clients: [...chosen.keys()] });
if (differences.length > 0) console.log(`${formatDifferences(differences)}\n`);
const bugs = formatBugs(cells);
if (bugs !== "") console.log(`Bugs of the clients themselves:\n${bugs}\n`);
const count = (outcome: Cell["outcome"]) => cells.filter((cell) => cell.outcome === outcome).length;
console.log(
  `${count("pass")} pass, ${count("client bug")} show a bug of the client, ${count("not in this client")} are not in the client, ${differences.length} differ from the expectation.`,
);

const problems = findWrongEvidence(folders);
if (isWhole && python !== undefined) {
  console.log("\nRequests made from the OpenAPI document, by schemathesis (75 s)…");
  const fault = await checkOpenApi(python);
  if (fault !== undefined) console.log(fault);
  problems.push(...(fault === undefined ? [] : ["schemathesis found an answer outside the OpenAPI document"]));
}
if (ci) problems.push(...[...leftOut].map(([client, reason]) => `${client} has to run on CI, but ${reason}`));
sendTally({
  passed: cells.length - differences.length - count("client bug") - count("not in this client"),
  failed: differences.length,
  skipped: leftOut.size * operations.length,
  problems,
});
if (differences.length + problems.length > 0) process.exitCode = 1;

function readExpectation(): Expectation {
  return existsSync(expectationFile) ? JSON.parse(readFileSync(expectationFile, "utf8")) : {};
}

function mergeExpectations(old: Expectation, found: Expectation): Expectation {
  const rows = Object.entries(found).map(([operation, row]) => [operation, { ...old[operation], ...row }]);
  return { ...old, ...Object.fromEntries(rows) };
}

/** Cells end in any order; files and tables have one. */
function inOrder(cells: readonly Cell[]): Cell[] {
  const names = operations.map(({ name }) => name);
  const rank = ({ operation, client }: Cell) =>
    names.indexOf(operation) * clientNames.length + clientNames.indexOf(client);
  return [...cells].sort((a, b) => rank(a) - rank(b));
}
