// Runs the official clients of Phala Cloud against the mock cloud: `npm run test:clients`. Compares every cell of the
// table client × operation with test/clients/expected.json. --help lists the options.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exitWith } from "../src/output/exit-with.ts";
import { checkCompose } from "../test/clients/harness/check-compose.ts";
import { checkOpenApi } from "../test/clients/harness/check-openapi.ts";
import { findWrongEvidence } from "../test/clients/harness/client-bugs.ts";
import { clientNames, installClients, isRequestShape } from "../test/clients/harness/clients.ts";
import { type Cell, compareCells, type Expectation, expectationOf } from "../test/clients/harness/outcome.ts";
import { formatBugs, formatDifferences, formatTable } from "../test/clients/harness/report.ts";
import { runCells } from "../test/clients/harness/run-cells.ts";
import { countCells, formatTotals } from "../test/clients/harness/totals.ts";
import { root } from "./support/paths.ts";
import { sendTally } from "./test/tally.ts";
import { type ClientsArguments, clientsUsage, parseClientsArguments } from "./test-clients/parse-arguments.ts";

const { groups, clients, isWhole, isUpdate } = readArguments();
const ci = Boolean(process.env.CI) && process.env.CI !== "false";
const expectationFile = join(root, "test", "clients", "expected.json");
const reportFile = join(root, "cache", "clients", "report.json");

const { installed, leftOut, folders, python } = await installClients();
for (const [client, reason] of leftOut) console.log(`${client} is left out: ${reason}.`);
const chosen = new Map([...installed].filter(([name]) => clients.includes(name)));
const operations = groups.flatMap((group) => group.operations);

const [unordered, openApiFault, composeFaults] = await Promise.all([
  runCells({
    operations,
    installed: chosen,
    lanes: 4,
    onCell: ({ outcome }) =>
      process.stdout.write({ pass: ".", fail: "F", "client bug": "b", "not in this client": "" }[outcome]),
  }),
  isWhole && python !== undefined ? checkOpenApi(python) : undefined,
  isWhole && installed.has("go-shapes") ? checkCompose() : [],
]);
const cells = inOrder(unordered);
console.log(`\n\n${formatTable(groups, cells)}\n`);

mkdirSync(join(root, "cache", "clients"), { recursive: true });
const totals = countCells(cells);
const report = {
  totals,
  leftOut: Object.fromEntries(leftOut),
  clients: cells.filter(({ client }) => !isRequestShape(client)),
  requestShapes: cells.filter(({ client }) => isRequestShape(client)),
};
writeFileSync(reportFile, `${JSON.stringify(report, null, 2)}\n`);
if (isUpdate) {
  const written = isWhole ? {} : readExpectation();
  const merged = mergeExpectations(written, expectationOf(cells));
  writeFileSync(expectationFile, `${JSON.stringify(merged, null, 2)}\n`);
}

const differences = compareCells(readExpectation(), cells, { isWhole, clients: [...chosen.keys()] });
if (differences.length > 0) console.log(`${formatDifferences(differences)}\n`);
const bugs = formatBugs(cells);
if (bugs !== "") console.log(`Bugs of the clients themselves:\n${bugs}\n`);
console.log(`${formatTotals(totals)}\n${differences.length} cells differ from the expectation.`);

const problems = findWrongEvidence(folders);
if (openApiFault !== undefined) {
  console.log(`\nRequests made from the OpenAPI document, by schemathesis:\n${openApiFault}`);
  problems.push("schemathesis found an answer outside the OpenAPI document");
}
if (composeFaults.length > 0) {
  console.log(`\nCompose files, judged by compose-go:\n${composeFaults.join("\n")}`);
  problems.push(`compose-go disagrees on ${composeFaults.length} compose files`);
}
if (ci) problems.push(...[...leftOut].map(([client, reason]) => `${client} has to run on CI, but ${reason}`));
sendTally({
  // Count only the official clients. The shape checks can fail a run, but they do not prove conformance.
  passed: countCells(cells.filter(isExpected)).clients.pass,
  failed: differences.length,
  skipped: leftOut.size * operations.length,
  problem: problems.length === 0 ? undefined : problems.join("; "),
});

function isExpected({ operation, client }: Cell): boolean {
  return !differences.some((difference) => difference.operation === operation && difference.client === client);
}

/** Reads the command line. For invalid arguments and for --help it prints a text and ends the process. */
function readArguments(): ClientsArguments {
  try {
    const args = parseClientsArguments(process.argv.slice(2));
    if (!args.isHelp) return args;
    console.log(clientsUsage);
    process.exit(0);
  } catch (error) {
    process.exit(exitWith(error, process.stderr));
  }
}

function readExpectation(): Expectation {
  return existsSync(expectationFile) ? JSON.parse(readFileSync(expectationFile, "utf8")) : {};
}

function mergeExpectations(old: Expectation, found: Expectation): Expectation {
  const rows = Object.entries(found).map(([operation, row]) => [operation, { ...old[operation], ...row }]);
  return { ...old, ...Object.fromEntries(rows) };
}

/** Cells finish in any order, but files and tables have a fixed one. */
function inOrder(cells: readonly Cell[]): Cell[] {
  const names = operations.map(({ name }) => name);
  const rank = ({ operation, client }: Cell) =>
    names.indexOf(operation) * clientNames.length + clientNames.indexOf(client);
  return [...cells].sort((a, b) => rank(a) - rank(b));
}
