// Writes the table of the receipt corpus into docs/receipts.md, between two markers. With --check it only compares.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ReceiptCase, type ReceiptVerdicts, receiptCases, receiptGroups } from "../src/testing/index.ts";
import { root } from "./support/paths.ts";

const path = join(root, "docs", "receipts.md");
const [begin, end] = ["<!-- generated: the cases -->", "<!-- end of the cases -->"];

const text = readFileSync(path, "utf8");
const [head = "", rest = ""] = text.split(begin);
const tail = rest.split(end)[1] ?? "";
const wanted = `${head}${begin}\n\n${tables()}\n${end}${tail}`;
if (!process.argv.includes("--check")) writeFileSync(path, wanted);
else if (text !== wanted) {
  console.error("docs/receipts.md differs from src/testing/receipts. Run `npm run generate`.");
  process.exitCode = 1;
}

function tables(): string {
  const sections = Object.entries(receiptGroups).map(([group, title]) => {
    const rows = receiptCases.filter((receiptCase) => receiptCase.group === group).map(rowOf);
    const columns = ["Case", "What happened", "Backend", "Event", "Plan", "Why"];
    const lines = [columns, columns.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
    return `### ${title}\n\n${lines.join("\n")}\n`;
  });
  return `${receiptCases.length} cases, ${receiptCases.flatMap(({ moments }) => moments).length} moments.\n\n${sections.join("\n")}`;
}

function rowOf({ id, story, why, moments }: ReceiptCase): string[] {
  const of = (judge: keyof ReceiptVerdicts) => {
    const each = moments.map((moment) => moment[judge] ?? "–");
    return new Set(each).size === 1 ? String(each[0]) : each.join(", then ");
  };
  const steps = moments.flatMap(({ when }) => when ?? []);
  const what = steps.length > 1 ? `${story} Moments: ${steps.join("; ")}.` : story;
  return [`\`${id}\``, what, of("backend"), of("events"), of("plan"), why];
}
