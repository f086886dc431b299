import type { ClientName } from "./clients.ts";

/** The result of one operation with one client. */
export type Outcome = "pass" | "fail" | "client bug" | "not in this client";

export interface Cell {
  readonly operation: string;
  readonly client: ClientName;
  readonly outcome: Outcome;
  /** Absent for a pass. */
  readonly reason?: string;
  readonly seconds: number;
}

/** A cell as the committed expectation has it. */
export type ExpectedCell = "pass" | { readonly outcome: Exclude<Outcome, "pass" | "fail">; readonly reason: string };

export type ExpectedRow = Readonly<Partial<Record<ClientName, ExpectedCell>>>;

/** By operation, then by client. */
export type Expectation = Readonly<Record<string, ExpectedRow>>;

export interface Difference {
  readonly operation: string;
  readonly client: ClientName;
  readonly expected: string;
  readonly found: string;
}

/** The differences between a run and the expectation. `isWhole` also reports cells that were not run. */
export function compareCells(
  expectation: Expectation,
  cells: readonly Cell[],
  { isWhole, clients }: { readonly isWhole: boolean; readonly clients: readonly ClientName[] },
): Difference[] {
  const differences = cells.flatMap(({ operation, client, ...cell }) => {
    const expected = show(expectation[operation]?.[client]);
    const found = show(cell.outcome === "pass" ? "pass" : { outcome: cell.outcome, reason: cell.reason ?? "" });
    return expected === found ? [] : [{ operation, client, expected, found }];
  });
  if (!isWhole) return differences;
  const ran = new Set(cells.map(({ operation, client }) => `${operation}\n${client}`));
  for (const [operation, row] of Object.entries(expectation)) {
    for (const client of clients) {
      if (row[client] === undefined || ran.has(`${operation}\n${client}`)) continue;
      differences.push({ operation, client, expected: show(row[client]), found: "not run" });
    }
  }
  return differences;
}

/** The expectation that these cells would meet. A failure cannot be expected, so its cell is omitted. */
export function expectationOf(cells: readonly Cell[]): Expectation {
  const expectation: Record<string, Partial<Record<ClientName, ExpectedCell>>> = {};
  for (const { operation, client, outcome, reason = "" } of cells) {
    if (outcome === "fail") continue;
    expectation[operation] ??= {};
    expectation[operation][client] = outcome === "pass" ? "pass" : { outcome, reason };
  }
  return expectation;
}

function show(cell: ExpectedCell | { outcome: Outcome; reason: string } | undefined): string {
  if (cell === undefined) return "no expectation";
  return typeof cell === "string" ? cell : `${cell.outcome}: ${cell.reason}`;
}
