// `npm run bench`. The useful figures are ratios to a baseline of the same run; absolute figures depend on the machine.
// BENCH=prune-gas runs only that one; separate several names by commas.
import { benchApi } from "./api.ts";
import { benchCli } from "./cli/index.ts";
import { benchComposeHash } from "./compose-hash.ts";
import { benchHistory } from "./history/index.ts";
import { benchLedger } from "./ledger.ts";
import { benchPayments } from "./payments/index.ts";
import { benchPruneGas } from "./prune-gas.ts";
import { benchUpdate } from "./update.ts";

const benches = {
  update: benchUpdate,
  "compose-hash": benchComposeHash,
  ledger: benchLedger,
  payments: benchPayments,
  "prune-gas": benchPruneGas,
  api: benchApi,
  cli: benchCli,
  history: benchHistory,
};
const wanted = process.env.BENCH?.split(",");
const unknown = wanted?.find((name) => !Object.hasOwn(benches, name));
if (unknown !== undefined) throw new Error(`There is no bench ${unknown}, only ${Object.keys(benches).join(", ")}.`);

for (const [name, bench] of Object.entries(benches)) {
  if (wanted !== undefined && !wanted.includes(name)) continue;
  const { title, rows, note } = await bench();
  console.log(`\n${title}`);
  console.table(rows);
  if (note !== undefined) console.log(note);
}
process.exit();
