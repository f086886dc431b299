import { type ClientName, isRequestShape } from "./clients.ts";
import type { Cell, Outcome } from "./outcome.ts";

/** The number of cells for each outcome. */
export type Totals = Readonly<Record<Outcome, number>>;

/** The totals of the official clients and of the request shapes, which are never added. */
export interface SplitTotals {
  readonly clients: Totals;
  readonly requestShapes: Totals;
}

export function countCells(cells: readonly Pick<Cell, "client" | "outcome">[]): SplitTotals {
  const count = (isWanted: (client: ClientName) => boolean): Totals => {
    const totals: Record<Outcome, number> = { pass: 0, fail: 0, "client bug": 0, "not in this client": 0 };
    for (const { client, outcome } of cells) if (isWanted(client)) totals[outcome] += 1;
    return totals;
  };
  return { clients: count((client) => !isRequestShape(client)), requestShapes: count(isRequestShape) };
}

export function formatTotals({ clients, requestShapes }: SplitTotals): string {
  return [
    `Official clients: ${describe(clients)}.`,
    `Request shapes, which are no client: ${describe(requestShapes)}.`,
  ].join("\n");
}

function describe(totals: Totals): string {
  const { pass, fail, "client bug": bugs, "not in this client": absent } = totals;
  const failures = fail === 0 ? "" : `, ${fail} fail`;
  return `${pass} pass, ${bugs} show a bug of the client, ${absent} are not in the client${failures}`;
}
